# Tries everything that code inside a step can see, and prints what it reached: one line per try.
# Its parent is terraform, whose parent is the executor. "api" holds the address of the attempt, which is no secret.
terraform=$PPID
[ -z "$TERRAFORM" ] || terraform=$TERRAFORM
executor=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$terraform/status")
say() { echo "tried $1: $2"; }
try() { if (eval "$2") > /dev/null 2>&1; then say "$1" reached; else say "$1" denied; fi; }

try "executor is the parent of terraform" "grep -q ^executor /proc/$executor/comm"
try "environment of the executor" "head -c 1 /proc/$executor/environ | grep -q ."
try "memory of the executor" "(exec < /proc/$executor/mem)"
try "memory map of the executor" "head -c 1 /proc/$executor/maps | grep -q ."
try "numbers of the open files of the executor" "ls /proc/$executor/fd"
try "open file of the executor" "readlink /proc/$executor/fd/0"
try "working directory of the executor" "ls /proc/$executor/cwd/"
try "session token in the environment" "env | grep -q session-token"
try "claim token in the environment" "env | grep -q attempt-token"
try "payload in the environment" "env | grep -q -i -E '^(Ephemeral|.*JobData)'"
# The name of the pattern must not be found in this script.
try "token in a file of the work folder" "grep -r -l -E '(session|attempt)[-]token-[0-9a-f]{8}' ../.."
try "token on a command line" "cat /proc/[0-9]*/cmdline | grep -a -q -E '(session|attempt)[-]token-[0-9a-f]{8}'"

request() { curl -s -o /dev/null -w '%{http_code}' --max-time 20 -X "$@"; }
api=$(cat api)
secret=${TF_HTTP_ADDRESS##*/}
port=${TF_HTTP_ADDRESS%/*}
stolen=$(tr '\0' '\n' < "/proc/$executor/environ" 2> /dev/null | sed -n 's/^EphemeralAttemptToken=//p')
for credential in "$secret" "$stolen" ""; do
    case $credential in "$secret") name="address of the state" ;; "") name="no credential" ;; *) name="claim token" ;; esac
    for route in "POST result" "PUT plan" "POST log?offset=0" "GET plan" "GET state" "POST state" "PUT rescued-state" "POST heartbeat"; do
        say "API with $name, $route" "$(request ${route%% *} -H "Authorization: Bearer $credential" --data '{}' "$api/${route#* }")"
    done
done
[ -z "$stolen" ] || say "API with claim token, POST claim" \
    "$(request POST -H "Authorization: Bearer $stolen" --json '{"executorId":"mine","host":"here"}' "$api/claim")"
for path in "" / /result "/$secret/result" "/$secret/../result" "/${secret}x" "/${secret%?}" /state; do
    shown=$(echo "$path" | sed "s/$secret/SECRET/; s/${secret%?}\$/PART/")
    say "loopback GET $shown" "$(request GET --path-as-is "$port$path")"
done
for method in PUT DELETE PATCH OPTIONS; do
    say "loopback $method" "$(request $method "$TF_HTTP_ADDRESS")"
done
say "loopback read of the state" "$(request GET "$TF_HTTP_ADDRESS")"
say "loopback write of the state" "$(request POST --data "$(cat state.json)" "$TF_HTTP_ADDRESS")"

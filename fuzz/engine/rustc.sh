#!/bin/sh
# Stands between cargo and the compiler when `cargo xtask fuzz` builds the engine: crates that read inputs are compiled so
# that they tell the engine where they have been; others would only make every execution slower.
#
# The flags are those that cargo-fuzz uses too, without the one that traces comparisons of numbers: most inputs are text, whose
# comparisons the engine sees anyway, and every execution would take a third longer.
for word in "$@"; do
    if [ "$previous" = --crate-name ]; then crate=$word; fi
    previous=$word
done
case $crate in
config_core | executor | job_spec | json_patch | jsonptr | granit_parser | serde_saphyr | toml | toml_parser | toml_datetime | base64 | tar)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    ;;
*) exec "$@" ;;
esac

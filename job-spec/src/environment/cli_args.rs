//! The options that users add to terraform's commands by `TF_CLI_ARGS` and `TF_CLI_ARGS_<command>`.
//!
//! Terraform puts these words before those of the executor. Options that would change what a step is, where
//! its state is or what is reviewed are refused; all others are terraform's business.

/// The command that the words are added to; empty for all of them.
pub(super) fn command_of(name: &str) -> Option<&str> {
    match name.strip_prefix("TF_CLI_ARGS")? {
        "" => Some(""),
        rest => rest.strip_prefix('_'),
    }
}

/// An option that is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The option without its value; `None` for a word that may be a secret.
    pub(super) option: Option<String>,
    pub(super) expected: String,
    pub(super) reason: String,
}

impl Refused {
    fn new(option: Option<&str>, expected: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { option: option.map(str::to_owned), expected: expected.into(), reason: reason.into() }
    }
}

/// Options whose value may be the next word.
const WITH_VALUE: &[&str] = &[
    "var",
    "var-file",
    "target",
    "target-file",
    "replace",
    "exclude",
    "exclude-file",
    "parallelism",
    "lock-timeout",
    "lockfile",
    "plugin-dir",
    "from-module",
    "backend-config",
    "generate-config-out",
    "test-directory",
    "json-into",
    "deprecation",
    "out",
    "state",
    "state-out",
    "backup",
];

/// What a step decides, not an option: commands (empty for all), options, expected, reason.
type Rule = (&'static [&'static str], &'static [&'static str], &'static str);

const RULES: &[Rule] = &[
    (&[], &["help", "h", "version", "v"], "terraform would print a text and do nothing"),
    (&[], &["chdir"], "set the folder of the workspace instead"),
    (&[], &["out"], "the plan file is written, reviewed and applied by the server"),
    (
        &[],
        &["state", "state-out", "backup"],
        "the state of a workspace is kept by the server, with its versions",
    ),
    (
        &[],
        &["backend", "backend-config", "from-module", "migrate-state", "force-copy"],
        "the configuration is that of the workspace, and its state is kept by the server",
    ),
    (
        &["plan", "apply", "destroy"],
        &["destroy"],
        "what a step destroys is shown by its type: use a step of type \
         terraformPlanDestroy or terraformDestroy",
    ),
];

/// Options that `init` does not know, so that terraform fails in every step if they
/// are added to each command.
const NOT_OF_INIT: &[&str] = &[
    "target",
    "target-file",
    "replace",
    "exclude",
    "exclude-file",
    "parallelism",
    "refresh",
    "refresh-only",
    "destroy",
    "auto-approve",
    "compact-warnings",
    "detailed-exitcode",
    "generate-config-out",
    "concise",
];

/// Checks the words that are added to a command.
pub(super) fn check(command: &str, value: &str) -> Vec<Refused> {
    let words = match split(value) {
        Ok(words) => words,
        Err(expected) => {
            return vec![Refused::new(None, expected, "terraform cannot split the value into words")];
        }
    };
    let mut refused = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some((name, option_value)) = option(word) else {
            refused.push(Refused::new(
                None,
                "options only",
                "a word that is no option would be the plan file or folder that terraform uses",
            ));
            continue;
        };
        let value = match option_value {
            None if WITH_VALUE.contains(&name) => {
                let next = words.next();
                if next.is_none() {
                    let shown = format!("-{name}");
                    let reason = "terraform would take the next option of the executor for the value";
                    refused.push(Refused::new(Some(&shown), "a value after the option", reason));
                }
                next.map(String::as_str)
            }
            value => value,
        };
        refused.extend(check_option(command, name, value));
    }
    refused
}

fn check_option(command: &str, name: &str, value: Option<&str>) -> Option<Refused> {
    let shown = format!("-{name}");
    let applies = |(commands, options, _): &&Rule| {
        options.contains(&name) && (commands.is_empty() || command.is_empty() || commands.contains(&command))
    };
    if let Some((_, _, reason)) = RULES.iter().find(applies) {
        return Some(Refused::new(Some(&shown), format!("no option {shown}"), *reason));
    }
    if name == "lock" && !is_true(value) && matches!(command, "" | "apply" | "destroy") {
        let reason = "without the lock, two runs could write the state at the same time; with \
                      TF_CLI_ARGS_plan the option is accepted";
        return Some(Refused::new(Some("-lock=false"), "no option -lock=false", reason));
    }
    if command.is_empty() && NOT_OF_INIT.contains(&name) {
        let reason = format!(
            "TF_CLI_ARGS is added to every command, and `init` does not know the option: set \
             TF_CLI_ARGS_plan, TF_CLI_ARGS_apply or TF_CLI_ARGS_destroy, where {shown} is needed"
        );
        return Some(Refused::new(Some(&shown), "options that every command knows", reason));
    }
    None
}

/// Reads a flag as Go does; no value means that it is set.
fn is_true(value: Option<&str>) -> bool {
    !matches!(value, Some("0" | "f" | "F" | "false" | "False" | "FALSE"))
}

/// Returns name and value of an option; `None` for a word that ends or is no option.
fn option(word: &str) -> Option<(&str, Option<&str>)> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let (name, value) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    };
    (!name.is_empty() && !name.starts_with('-')).then_some((name, value))
}

/// Splits a value into words as terraform does: quotes, escapes, white space. An unquoted operator of a shell
/// ends the words, so nothing after it would be seen.
fn split(value: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or("a character after the last `\\`")?;
                word.get_or_insert_default().push(next);
            }
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (';' | '&' | '|' | '<' | '>' | '`' | '(' | ')', None) => {
                return Err("operators of a shell in quotes");
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a closing quote for each opening one");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests;

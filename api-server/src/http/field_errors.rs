//! Checks the fields of request bodies; pure.

use super::problem::{FieldError, Problem};
use crate::{
    limits,
    model::{SourceAddress, VariableCategory},
};

const NAME_RULE: &str = "1 to 90 characters without control characters or spaces at its ends";

/// Collects the errors of a request body, so that one response reports all of them.
#[derive(Debug, Default)]
pub(super) struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Checks the name of an organization, a workspace or a template.
    pub(super) fn name(&mut self, key: &str, name: &str) {
        let good = !name.is_empty()
            && name.chars().count() <= limits::NAME_CHARS
            && name.trim() == name
            && !name.contains(char::is_control);
        self.expect(good, key, name, NAME_RULE);
    }

    /// Checks the name of a collection. Its variables go by `collection/KEY` in problems and explanations.
    pub(super) fn collection_name(&mut self, key: &str, name: &str) {
        self.name(key, name);
        self.expect(!name.contains('/'), key, name, "a name without `/`");
    }

    /// Checks the folder inside a source.
    pub(super) fn folder(&mut self, key: &str, folder: &str) {
        self.length(key, folder, limits::PATH);
        let good = !folder.split('/').any(|part| part == "..") && !folder.contains(char::is_control);
        self.expect(good, key, folder, "a folder inside the source, without `..`");
    }

    /// Checks the length of a text. Names have a rule of their own;
    /// values of variables are bounded by the body.
    fn length(&mut self, key: &str, text: &str, limit: usize) {
        self.shown_length(key, text, text, limit);
    }

    /// Checks the length of a text that is shown in another form.
    fn shown_length(&mut self, key: &str, text: &str, shown: &str, limit: usize) {
        let start = &shown[..shown.floor_char_boundary(limit.min(80))];
        self.expect(text.len() <= limit, key, start, &format!("at most {limit} bytes"));
    }

    /// Checks the source of a workspace. Its password is not shown.
    pub(super) fn source(&mut self, key: &str, source: &SourceAddress, local_sources: bool) {
        let (source, shown) = (source.expose(), source.to_string());
        self.shown_length(key, source, &shown, limits::PATH);
        // An address has a scheme, or a host before a colon (`git@host:path`).
        let is_place = source.starts_with('/') || source.contains(':');
        let shaped = is_place && !source.starts_with('-') && !source.contains(char::is_control);
        self.expect(shaped, key, &shown, "the address of a git repository, or the absolute path of a folder");
        let local = source.starts_with('/') || source.starts_with("file:");
        self.expect(
            !local || local_sources,
            key,
            &shown,
            "the address of a git repository; pods cannot read folders of this machine",
        );
    }

    /// Checks the branch or tag of a git source.
    pub(super) fn branch(&mut self, key: &str, branch: &str) {
        self.length(key, branch, limits::BRANCH);
        let good = !branch.starts_with('-') && !branch.contains(|c: char| c.is_control() || c == ' ');
        self.expect(good, key, branch, "the name of a branch or tag");
    }

    /// Checks a version of terraform or tofu, or a constraint on it, as the executor reads them.
    pub(super) fn version(&mut self, key: &str, version: &str) {
        self.length(key, version, limits::VERSION);
        let is_version = |part: &str| {
            let part = part.trim();
            let operator =
                [">=", "<=", "!=", "~>", "=", ">", "<"].iter().find_map(|sign| part.strip_prefix(sign));
            let version = operator.unwrap_or(part).trim();
            let version = version.strip_prefix('v').unwrap_or(version);
            let numbers = version.split(['-', '+']).next().unwrap_or_default();
            let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            numbers.split('.').all(is_number)
                && numbers.split('.').count() <= 3
                && version.chars().all(|c| c.is_ascii_alphanumeric() || ".-+".contains(c))
        };
        let good = version.is_empty() || version.split(',').all(is_version);
        self.expect(
            good,
            key,
            version,
            "a version such as 1.9.8, a constraint such as ~> 1.9 or >= 1.5, < 2, or an empty string for the \
             installed version",
        );
    }

    /// Checks the key of a variable.
    pub(super) fn variable(&mut self, key: &str, name: &str, category: VariableCategory) {
        self.length(key, name, limits::VARIABLE_KEY);
        match category {
            // https://developer.hashicorp.com/terraform/language/syntax/configuration#identifiers
            VariableCategory::Terraform => {
                let good = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
                self.expect(good, key, name, "a Terraform identifier: letters, digits, `_` and `-`");
            }
            VariableCategory::Env => {
                let good = !name.is_empty() && !name.contains(|c: char| c == '=' || c.is_control());
                self.expect(good, key, name, "the name of an environment variable, without `=`");
            }
        }
    }

    /// Checks the value of a variable. The value itself is not shown.
    pub(super) fn value(&mut self, key: &str, value: &str) {
        if value.contains('\0') {
            self.0.push(FieldError::in_body(key, None, "a string without NUL bytes"));
        }
    }

    /// Checks that a sensitive value can be kept out of logs. The value itself is not shown.
    pub(super) fn sensitive_value(&mut self, key: &str, value: &str) {
        if !job_spec::is_long_enough_to_hide(value) {
            let expected = format!(
                "at least {} characters without white space: a shorter value cannot be kept out of logs; set \
                 a longer one, or one that is not sensitive",
                job_spec::MIN_SENSITIVE_CHARS
            );
            self.0.push(FieldError::in_body(key, None, &expected));
        }
    }

    /// Fails with a 422 that holds all errors, if there are any.
    pub(super) fn finish(self, detail: &str) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(detail, self.0)) }
    }

    fn expect(&mut self, good: bool, key: &str, found: &str, expected: &str) {
        if !good {
            self.0.push(FieldError::in_body(key, found.to_owned(), expected));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(check: impl FnOnce(&mut FieldErrors)) -> usize {
        let mut errors = FieldErrors::default();
        check(&mut errors);
        errors.0.len()
    }

    #[test]
    fn accepts_valid_values() {
        assert_eq!(
            errors(|f| {
                f.name("name", "Platform team");
                f.collection_name("name", "gpu nodes");
                f.folder("folder", "/live/dev");
                f.source("source", &"https://example.com/a.git".into(), false);
                f.source("source", &"/home/me/infra".into(), true);
                f.branch("branch", "release/1.0");
                f.version("terraformVersion", "1.9.8");
                f.version("terraformVersion", "");
                f.version("terraformVersion", "v1.10.0-beta1");
                f.version("terraformVersion", ">= 1.5, < 2,!=1.7.1");
                f.version("terraformVersion", "~> 1.9");
                f.variable("key", "region_1", VariableCategory::Terraform);
                f.variable("key", "EPHEMERAL_CONFIG_TOLERATIONS", VariableCategory::Env);
                f.value("value", "any\ntext");
                f.sensitive_value("value", "hunter2");
            }),
            0
        );
    }

    #[test]
    fn rejects_invalid_values() {
        assert_eq!(errors(|f| f.name("name", "")), 1);
        assert_eq!(errors(|f| f.name("name", " a")), 1);
        assert_eq!(errors(|f| f.collection_name("name", "a/b")), 1);
        assert_eq!(errors(|f| f.folder("folder", "/a/../../b")), 1);
        assert_eq!(errors(|f| f.source("source", &"/etc".into(), false)), 1);
        assert_eq!(errors(|f| f.source("source", &"conf".into(), true)), 1);
        assert_eq!(errors(|f| f.source("source", &"--upload-pack=evil".into(), true)), 1);
        assert_eq!(errors(|f| f.branch("branch", "--force")), 1);
        let long = "k".repeat(limits::VARIABLE_KEY + 1);
        assert_eq!(errors(|f| f.variable("key", &long, VariableCategory::Env)), 1);
        assert_eq!(errors(|f| f.branch("branch", &"b".repeat(limits::BRANCH + 1))), 1);
        assert_eq!(errors(|f| f.folder("folder", &"ü".repeat(limits::PATH))), 1);
        for version in ["latest", "^1.9", "1.9,", ">= ", "1.9.8.7", "1.x", " "] {
            assert_eq!(errors(|f| f.version("terraformVersion", version)), 1, "{version:?}");
        }
        assert_eq!(errors(|f| f.variable("key", "a b", VariableCategory::Terraform)), 1);
        assert_eq!(errors(|f| f.variable("key", "A=B", VariableCategory::Env)), 1);
        assert_eq!(errors(|f| f.value("value", "a\0b")), 1);
        assert_eq!(errors(|f| f.sensitive_value("value", "12345")), 1);
    }
}

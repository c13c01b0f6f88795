//! Passes input variables to terraform: by files beside the configuration, which only this user can read and
//! which are removed when the command has ended.
//!
//! `-var-file` has the precedence of the command line, no limit of size, and a value for a variable that the
//! configuration does not declare is a warning. In a file, each value is either text or an expression,
//! whatever the declared type is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::PathBuf,
};

use serde_json::{Map, Value};

use super::{
    declarations::{DeclaredType, RootModule},
    hcl::{Fault, check_expression},
};
use crate::{
    child::shell_quote::quote,
    work_paths::{WorkDir, write_private},
};

/// Names of the files in the work directory.
const TEXTS: &str = "variables.tfvars.json";
const EXPRESSIONS: &str = "expressions.tfvars";

/// A variable that cannot be passed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VariableError {
    #[error("terraform variable {name:?} contains a zero byte, which terraform cannot read")]
    ZeroByte { name: String },
    #[error("terraform variable {name:?} is no expression in the language of terraform ({kind})")]
    Expression {
        name: String,
        kind: &'static str,
        #[source]
        fault: Fault,
    },
    #[error("could not write the files of the terraform variables")]
    Write(#[source] io::Error),
}

/// What is written into the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Values {
    texts: Map<String, Value>,
    expressions: String,
    /// What users should know, for the log.
    pub(super) notes: Vec<String>,
}

/// The files. Dropping it removes them.
#[derive(Debug)]
pub(super) struct VariableFiles(Vec<PathBuf>);

/// Sorts variables into texts and expressions. `hcl` holds the names of expressions, if that is known. A
/// reviewed plan holds the values of its variables, except the ephemeral ones.
pub(super) fn sort(
    variables: &BTreeMap<String, String>,
    hcl: Option<&BTreeSet<String>>,
    module: &RootModule,
    reviewed: bool,
) -> Result<Values, VariableError> {
    let mut values = Values::default();
    for (name, value) in variables {
        let declared = module.variables.get(name).copied();
        if reviewed && !declared.is_some_and(|declared| declared.ephemeral) {
            continue;
        }
        if value.contains('\0') {
            return Err(VariableError::ZeroByte { name: name.clone() });
        }
        if !is_identifier(name) {
            values.notes.push(format!(
                "Warning: terraform variable {name:?} is not used: a configuration cannot declare this name, \
                 which is not made of letters, digits, \"_\" and \"-\""
            ));
            continue;
        }
        let declared_type = declared.unwrap_or_default().declared_type;
        let marked = hcl.map(|names| names.contains(name));
        let is_expression = match (marked, declared_type) {
            (Some(true), _) | (_, DeclaredType::Collection) | (None, DeclaredType::Any) => true,
            (Some(false), _) | (None, DeclaredType::Text) => false,
        };
        if !is_expression {
            values.texts.insert(name.clone(), Value::String(value.clone()));
            continue;
        }
        let kind = if marked == Some(true) {
            "it is marked as hcl"
        } else {
            "its declared type cannot hold text, so the value is read as an expression"
        };
        check_expression(value).map_err(|fault| VariableError::Expression {
            name: name.clone(),
            kind,
            fault,
        })?;
        // Writing to a text cannot fail.
        let _ = writeln!(values.expressions, "{name} = ({value}\n)");
    }
    Ok(values)
}

/// Returns whether terraform can declare a variable of this name.
fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl Values {
    /// Writes the files that are needed.
    pub(super) fn write(&self, dir: &WorkDir) -> Result<VariableFiles, VariableError> {
        let mut files = VariableFiles(Vec::new());
        let mut write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            // A link or a file with other rights may stand there.
            let removed = fs::remove_file(&path);
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            files.0.push(path.clone());
            write_private(&path, bytes)
        };
        if !self.texts.is_empty() {
            let json =
                serde_json::to_vec(&self.texts).map_err(io::Error::other).map_err(VariableError::Write)?;
            write(TEXTS, &json).map_err(VariableError::Write)?;
        }
        if !self.expressions.is_empty() {
            write(EXPRESSIONS, self.expressions.as_bytes()).map_err(VariableError::Write)?;
        }
        Ok(files)
    }
}

impl VariableFiles {
    /// Adds the files to the arguments of a command, after those of the user, so that ours take precedence.
    /// The variable keeps the command line as users know it.
    pub(super) fn add_to(&self, env: &mut BTreeMap<String, String>, command: &str) {
        for path in &self.0 {
            let args = env.entry(format!("TF_CLI_ARGS_{command}")).or_default();
            if !args.is_empty() {
                args.push(' ');
            }
            args.push_str(&quote(&format!("-var-file={}", path.display())));
        }
    }
}

impl Drop for VariableFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "could not remove a file of variables");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::declarations::Declaration, *};

    fn module(types: &[(&str, DeclaredType, bool)]) -> RootModule {
        let variables = types.iter().map(|(name, declared_type, ephemeral)| {
            ((*name).to_owned(), Declaration { declared_type: *declared_type, ephemeral: *ephemeral })
        });
        RootModule { variables: variables.collect(), reads_workspace: false }
    }

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn flag_decides_before_the_declared_type() {
        use DeclaredType::{Any, Collection, Text};
        let cases = [
            (Some(true), Text, true),
            (Some(true), Any, true),
            (Some(true), Collection, true),
            (Some(false), Text, false),
            (Some(false), Any, false),
            // Terraform has no other meaning for it.
            (Some(false), Collection, true),
            (None, Text, false),
            (None, Any, true),
            (None, Collection, true),
        ];
        for (hcl, declared, is_expression) in cases {
            let names = hcl.map(|hcl| if hcl { BTreeSet::from(["v".to_owned()]) } else { BTreeSet::new() });
            let module = module(&[("v", declared, false)]);
            let found = sort(&variables(&[("v", "0042")]), names.as_ref(), &module, false).unwrap();
            assert_eq!(found.expressions.is_empty(), !is_expression, "{hcl:?} {declared:?}");
            assert_eq!(found.texts.is_empty(), is_expression, "{hcl:?} {declared:?}");
        }
    }

    #[test]
    fn reviewed_plan_needs_ephemeral_variables_alone() {
        let module = module(&[("a", DeclaredType::Text, false), ("b", DeclaredType::Text, true)]);
        let all = variables(&[("a", "1"), ("b", "2"), ("c", "3"), ("d e", "4")]);
        let found = sort(&all, None, &module, true).unwrap();
        assert_eq!(found.texts.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(found.notes, Vec::<String>::new());
    }

    #[test]
    fn names_unusable_variables_without_their_values() {
        let hcl = BTreeSet::from(["v".to_owned()]);
        let error =
            sort(&variables(&[("v", "[secret")]), Some(&hcl), &RootModule::default(), false).unwrap_err();
        let text = crate::error_chain::chain(&error);
        assert_eq!(
            text,
            "terraform variable \"v\" is no expression in the language of terraform (it is marked as hcl): a \
             bracket is not closed"
        );
        let error = sort(&variables(&[("v", "a\0b")]), None, &RootModule::default(), false).unwrap_err();
        assert!(error.to_string().contains("zero byte"), "{error}");
        let found = sort(
            &variables(&[("1x", "a"), ("ok-1", "b"), ("größe", "c")]),
            None,
            &RootModule::default(),
            false,
        );
        let found = found.unwrap();
        assert_eq!(found.texts.keys().collect::<Vec<_>>(), ["größe", "ok-1"]);
        assert!(found.notes[0].contains("\"1x\" is not used"), "{:?}", found.notes);
    }
}

//! What terraform prints about the resources that a plan creates or replaces.
//!
//! The lines are those of the human-readable plan: `  # ADDRESS will be created`, then the resource with one
//! attribute per line. Secrets are masked in the log already.

use std::collections::BTreeMap;

use super::address;

/// How many resources are kept, and of each how many attributes and how many characters of a value.
const MAX_RESOURCES: usize = 20_000;
const MAX_ATTRIBUTES: usize = 24;
const MAX_VALUE: usize = 200;

/// A resource that the plan creates or replaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// Address of the resource instance.
    pub address: String,
    /// Whether it replaces another one.
    pub replaces: bool,
    /// Id of the one that it replaces.
    pub replaced_id: Option<String>,
    /// Attributes whose values the plan knows.
    pub known: BTreeMap<String, String>,
}

/// Reads the lines of a log.
#[derive(Debug, Default)]
pub(super) struct PlanReader {
    resources: Vec<Planned>,
    /// The next lines are about the last resource.
    is_open: bool,
}

impl PlanReader {
    pub(super) fn push(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix("  # ") {
            match resource(text) {
                Some(planned) if self.resources.len() < MAX_RESOURCES => {
                    self.resources.push(planned);
                    self.is_open = true;
                }
                // A line about another resource has an address; the others, such as `  # (because …)`, are
                // about this one.
                _ if address::split(text).is_some() => self.is_open = false,
                _ => {}
            }
        } else if line == "    }" {
            self.is_open = false;
        } else if self.is_open
            && let Some(planned) = self.resources.last_mut()
        {
            planned.read_attribute(line);
        }
    }

    pub(super) fn finish(self) -> Vec<Planned> {
        self.resources
    }
}

impl Planned {
    /// Reads `      + KEY = VALUE`, `      ~ KEY = OLD -> NEW` or `        KEY = VALUE`.
    fn read_attribute(&mut self, line: &str) {
        let Some((sign, key, value)) = attribute(line) else { return };
        let Some((first, rest)) = literal(value) else { return };
        match rest.trim_start().strip_prefix("-> ") {
            Some(new) => {
                if key == "id" {
                    self.replaced_id = Some(first);
                } else if let Some((new, _)) = literal(new) {
                    self.keep(key, new);
                }
            }
            // The id of a resource that is imported and replaced is unchanged in no line.
            None if sign != '-' && key != "id" => self.keep(key, first),
            None => {}
        }
    }

    fn keep(&mut self, key: &str, mut value: String) {
        if self.known.len() >= MAX_ATTRIBUTES {
            return;
        }
        if let Some((at, _)) = value.char_indices().nth(MAX_VALUE) {
            value.truncate(at);
            value.push('…');
        }
        self.known.insert(key.to_owned(), value);
    }
}

/// Parses `ADDRESS will be created` and the like.
fn resource(text: &str) -> Option<Planned> {
    let (address, action) = address::split(text)?;
    let replaces = action.contains("replaced");
    if !replaces && !action.starts_with(" will be created") {
        return None;
    }
    Some(Planned { address: address.to_owned(), replaces, ..Planned::default() })
}

/// Returns sign, key and value of an attribute of the resource itself; `None` for those of its blocks, which
/// are indented further.
fn attribute(line: &str) -> Option<(char, &str, &str)> {
    let text = line.strip_prefix("      ")?;
    let sign = text.chars().next().filter(|sign| matches!(sign, '+' | '~' | '-' | ' '))?;
    let (key, value) = text[1..].strip_prefix(' ')?.split_once(" = ")?;
    let key = key.trim_end();
    let is_name = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    is_name.then_some((sign, key, value))
}

/// Returns the text, number or truth value at the start, and the rest; `None` for everything else, such as
/// `(known after apply)`.
fn literal(value: &str) -> Option<(String, &str)> {
    if !value.starts_with('"') {
        let end = value.find(' ').unwrap_or(value.len());
        let (word, rest) = value.split_at(end);
        let is_plain = matches!(word, "true" | "false") || word.parse::<f64>().is_ok();
        return is_plain.then(|| (word.to_owned(), rest));
    }
    let mut escaped = false;
    let end = value.char_indices().skip(1).find(|(_, character)| {
        let ends = *character == '"' && !escaped;
        escaped = *character == '\\' && !escaped;
        ends
    })?;
    let (quoted, rest) = value.split_at(end.0 + 1);
    let text = serde_json::from_str(quoted).unwrap_or_else(|_| quoted.trim_matches('"').to_owned());
    Some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Planned> {
        let mut reader = PlanReader::default();
        text.lines().for_each(|line| reader.push(line));
        reader.finish()
    }

    #[test]
    fn reads_what_the_plan_knows_of_a_new_resource() {
        let plan = r#"
  # module.a["x y"].aws_sqs_queue.queue["1"] will be created
  + resource "aws_sqs_queue" "queue" {
      + arn                       = (known after apply)
      + delay_seconds             = 0
      + fifo_queue                = false
      + name                      = "w-\"1\""
      + password                  = (sensitive value)
      + tags                      = {
          + "name" = "of a tag"
        }
      + redrive {
          + name = "of a block"
        }
    }

  # aws_iam_user.gone will be destroyed
  # (because aws_iam_user.gone is not in configuration)
  - resource "aws_iam_user" "gone" {
      - name = "gone" -> null
    }
"#;
        let planned = read(plan);
        assert_eq!(planned.len(), 1, "{planned:#?}");
        assert_eq!(planned[0].address, "module.a[\"x y\"].aws_sqs_queue.queue[\"1\"]");
        let known: Vec<_> =
            planned[0].known.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(known, [("delay_seconds", "0"), ("fifo_queue", "false"), ("name", "w-\"1\"")]);
        assert!(!planned[0].replaces);
    }

    #[test]
    fn reads_replacements_of_the_recorded_plan() {
        let planned = read(include_str!("fixtures/terraform-killed-apply.log"));
        let replaced: Vec<_> = planned
            .iter()
            .filter(|planned| planned.replaces)
            .map(|planned| {
                (planned.address.as_str(), planned.replaced_id.as_deref().unwrap(), &planned.known)
            })
            .collect();
        let known = BTreeMap::from([("triggers_replace".to_owned(), "2".to_owned())]);
        assert_eq!(
            replaced,
            [
                ("terraform_data.replaced", "3b059aa1-76dd-1238-b6d9-34441b5119da", &known),
                ("terraform_data.replaced2", "81897a6c-717a-bfcf-5d16-44918fbfee0c", &known),
            ]
        );
        let created = planned.iter().filter(|planned| !planned.replaces).map(|it| it.address.as_str());
        assert_eq!(created.collect::<Vec<_>>(), ["terraform_data.broken[0]", "terraform_data.hangs[0]"]);
    }

    #[test]
    fn reads_resource_that_is_imported_and_replaced() {
        let plan = r#"
  # terraform_data.thing[0] must be replaced
  # (imported from "abc-def")
  # Warning: this will destroy the imported resource
-/+ resource "terraform_data" "thing" {
      ~ id               = "abc-def" -> (known after apply)
      + input            = 3
        name             = "same" # forces replacement
    }
"#;
        let planned = read(plan);
        assert_eq!(planned[0].replaced_id.as_deref(), Some("abc-def"));
        assert_eq!(planned[0].known.get("name").map(String::as_str), Some("same"));
        assert_eq!(planned[0].known.get("input").map(String::as_str), Some("3"));
    }
}

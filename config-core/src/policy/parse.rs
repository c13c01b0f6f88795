//! Parses a policy file to tables of rules; every problem has its line.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use super::{Policy, RuleSet, pattern::Patterns};
use crate::{
    Problem, Problems, ResourceName, SourceName, Sourced,
    document::{self, Entry, Node},
    setting::Setting,
    unknown,
    value::{EntryError, Quantity, Seconds},
    workspace,
};

const DEFAULT: &str = "default";
const ORGANIZATIONS: &str = "organizations";
const DEADLINE: &str = "deadline";

/// The fields of a table of rules.
pub(crate) const FIELDS: [&str; 5] = ["allow", "forbid", "pod-security", "values", "maximum"];

pub(super) fn policy(text: &str) -> Result<Policy, Problems> {
    let document = document::read(SourceName::Policy, text);
    let mut parser = Parser { problems: document.problems };
    let mut policy = Policy::default();
    for entry in &document.root {
        match entry.name.as_str() {
            DEFAULT => policy.default = parser.rule_set(entry),
            ORGANIZATIONS => {
                let tables = entry.table(&mut parser.problems);
                policy.organizations =
                    tables.iter().map(|table| (table.name.clone(), parser.rule_set(table))).collect();
            }
            _ => parser.unknown(entry, &[DEFAULT, ORGANIZATIONS]),
        }
    }
    document.lines.locate(SourceName::Policy, &mut parser.problems);
    Problems::into_result(parser.problems, policy)
}

struct Parser {
    problems: Vec<Problem>,
}

impl Parser {
    fn unknown(&mut self, entry: &Entry, known: &[&str]) {
        self.problems.push(unknown::problem(entry.origin.clone(), &entry.name, "", known));
    }

    fn rule_set(&mut self, table: &Entry) -> RuleSet {
        let mut set = RuleSet::default();
        for entry in table.table(&mut self.problems) {
            match entry.name.as_str() {
                "allow" => set.allow = Some(self.allow(entry)),
                "forbid" => set.forbid = Some(self.names(entry)),
                "pod-security" => set.pod_security = self.value(entry),
                "values" => set.values = self.values(entry),
                "maximum" => self.maximum(entry, &mut set),
                _ => self.unknown(entry, &FIELDS),
            }
        }
        if let (Some(allow), Some(forbid)) = (&set.allow, &set.forbid) {
            for name in allow.value.intersection(&forbid.value) {
                let expected = format!("no name that {} has too", forbid.origin.key);
                self.problems.push(Problem::new(allow.origin.clone(), expected).with_found(name));
            }
        }
        set
    }

    fn value<T: FromStr<Err = EntryError>>(&mut self, entry: &Entry) -> Option<Sourced<T>> {
        match entry.text(&mut self.problems)?.parse() {
            Ok(value) => Some(Sourced::new(value, entry.origin.clone())),
            Err(EntryError { entry: found, expected, hint }) => {
                self.problems.push(Problem { hint, ..entry.problem(expected).with_found(&found) });
                None
            }
        }
    }

    fn texts(&mut self, entry: &Entry) -> Vec<String> {
        let Node::List(items) = &entry.node else {
            let problem = entry.problem("a list of strings").with_found(&entry.node.shown());
            self.problems.push(problem.with_hint(format!("write {} = [\"…\"]", document::part(&entry.name))));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                Node::Text(text) => texts.push(text.clone()),
                other => self.problems.push(entry.problem("strings in quotes").with_found(&other.shown())),
            }
        }
        texts
    }

    /// Finds the variable that a rule is about.
    fn variable(&mut self, entry: &Entry, name: &str) -> Option<&'static Setting> {
        if let Some(variable) = workspace::find(name) {
            return Some(variable.setting());
        }
        let problem = if workspace::find_for_any_kind(name).is_some() {
            let key = workspace::without_kind(name);
            entry
                .problem("the name of a variable without the suffix of a step kind")
                .with_hint(format!("write {key}; it applies to all kinds"))
        } else {
            workspace::unknown_name(name, entry.origin.clone())
        };
        self.problems.push(problem.with_found(name));
        None
    }

    fn variables(&mut self, entry: &Entry) -> Vec<&'static Setting> {
        let names = self.texts(entry);
        names.iter().filter_map(|name| self.variable(entry, name)).collect()
    }

    fn names(&mut self, entry: &Entry) -> Sourced<BTreeSet<&'static str>> {
        let names = self.variables(entry).into_iter().map(|setting| setting.name).collect();
        Sourced::new(names, entry.origin.clone())
    }

    /// A permission that is not needed is refused: it would suggest that all other variables were forbidden.
    fn allow(&mut self, entry: &Entry) -> Sourced<BTreeSet<&'static str>> {
        let variables = self.variables(entry);
        for setting in variables.iter().filter(|setting| !setting.permission) {
            let problem = entry.problem("variables that need a permission").with_found(setting.name);
            self.problems.push(problem.with_hint(
                "every workspace may set this one; use forbid, values and maximum to restrict it",
            ));
        }
        let names = variables.into_iter().map(|setting| setting.name).collect();
        Sourced::new(names, entry.origin.clone())
    }

    fn values(&mut self, entry: &Entry) -> BTreeMap<&'static str, Sourced<Patterns>> {
        let mut values = BTreeMap::new();
        for variable in entry.table(&mut self.problems) {
            let patterns = self.texts(variable);
            let Some(setting) = self.variable(variable, &variable.name) else { continue };
            if setting.is_yaml() {
                let problem = variable
                    .problem("a variable whose value is not YAML, because patterns do not match YAML");
                self.problems.push(problem.with_hint("use allow and forbid, or pod-security and maximum"));
                continue;
            }
            values.insert(setting.name, Sourced::new(Patterns::new(patterns), variable.origin.clone()));
        }
        values
    }

    fn maximum(&mut self, entry: &Entry, set: &mut RuleSet) {
        for amount in entry.table(&mut self.problems) {
            let resource = ResourceName::ALL.into_iter().find(|resource| resource.as_str() == amount.name);
            if let Some(resource) = resource {
                set.maximum.extend(self.amount(amount, resource).map(|amount| (resource, amount)));
            } else if amount.name == DEADLINE {
                set.deadline = self.value(amount);
                if set.deadline.as_ref().is_some_and(|deadline: &Sourced<Seconds>| deadline.value.get() == 0)
                {
                    self.problems.push(amount.problem("at least 1 second").with_found(&amount.node.shown()));
                }
            } else {
                let known: Vec<&str> =
                    ResourceName::ALL.into_iter().map(ResourceName::as_str).chain([DEADLINE]).collect();
                self.unknown(amount, &known);
            }
        }
    }
    fn amount(&mut self, entry: &Entry, resource: ResourceName) -> Option<Sourced<Quantity>> {
        let amount: Sourced<Quantity> = self.value(entry)?;
        let expected = if amount.value.nanos() == 0 {
            "more than 0"
        } else if resource != ResourceName::Cpu && !amount.value.is_whole() {
            "a whole number of bytes"
        } else {
            return Some(amount);
        };
        self.problems.push(entry.problem(expected).with_found(amount.value.as_str()));
        None
    }
}

//! Reads the variables that Terrakube 2.27 knows, and collects the defects in their handling.

use std::collections::BTreeMap;

use config_core::{Variables, kubernetes::Rule, value::Quantity as Amount, workspace};
use k8s_openapi::{
    api::core::v1::{PodSecurityContext, ResourceRequirements, SecurityContext, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{
    Defect,
    grammar::{self, OldToleration, Pair, Stop},
};

const REFUSED_BY_CLUSTER: &str = "Kubernetes refuses the Job, and the user does not see why";

/// Group of the volumes where the workspace names none.
const GROUP: i64 = 1000;

pub(super) struct Reader<'a> {
    variables: &'a Variables,
    defects: Vec<Defect>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a Variables) -> Self {
        Self { variables, defects: Vec::new() }
    }

    pub(super) fn into_defects(mut self) -> Vec<Defect> {
        self.defects.sort();
        self.defects
    }

    /// Returns the text of a variable, as it is.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.variables.get(name)
    }

    pub(super) fn push(&mut self, name: &str, text: impl Into<String>) {
        self.defects.push(Defect::new(name, text));
    }

    /// Checks what Kubernetes checks.
    pub(super) fn expect(&mut self, name: &str, text: &str, rule: Rule) {
        if !rule.holds(text) {
            self.push(name, format!("found {text:?}, expected {}: {REFUSED_BY_CLUSTER}", rule.expected()));
        }
    }

    fn stopped(&mut self, name: &str, at: &str) {
        self.push(
            name,
            format!("it stops at {at:?} with an exception: no Job is made, and the job stays pending"),
        );
    }

    fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&'a str) -> Result<T, Stop<'a>>) -> Option<T> {
        parse(self.get(name)?).map_err(|Stop(item)| self.stopped(name, item)).ok()
    }

    fn pairs(&mut self, name: &str) -> Option<Vec<Pair<'a>>> {
        let pairs = self.parsed(name, grammar::pairs)?;
        for Pair { key, .. } in pairs.iter().filter(|pair| pair.is_cut) {
            self.push(name, format!("the value of {key:?} is cut off at its first \"=\""));
        }
        Some(pairs)
    }

    fn map(&mut self, name: &str) -> Option<BTreeMap<String, String>> {
        let pairs = self.pairs(name)?;
        Some(pairs.iter().map(|pair| (pair.key.to_owned(), pair.value.to_owned())).collect())
    }

    pub(super) fn annotations(&mut self) -> Option<BTreeMap<String, String>> {
        let map = self.map(workspace::ANNOTATIONS.name())?;
        for key in map.keys() {
            self.expect(workspace::ANNOTATIONS.name(), key, Rule::AnnotationKey);
        }
        (!map.is_empty()).then_some(map)
    }

    pub(super) fn node_selector(&mut self) -> Option<BTreeMap<String, String>> {
        let name = workspace::NODE_SELECTOR_TAGS.name();
        let map = self.map(name)?;
        for (key, value) in &map {
            self.expect(name, key, Rule::LabelKey);
            self.expect(name, value, Rule::LabelValue);
        }
        Some(map)
    }

    pub(super) fn tolerations(&mut self) -> Option<Vec<Toleration>> {
        let name = workspace::TOLERATIONS.name();
        let read = self.parsed(name, grammar::tolerations)?;
        for OldToleration { key, value, operator, effect: _, has_rest } in &read {
            if *operator == "Exists" && value.is_some() {
                self.push(
                    name,
                    format!("{key:?} has a value and the operator \"Exists\": {REFUSED_BY_CLUSTER}"),
                );
            }
            if *operator == "Exists" && key.is_empty() {
                self.push(name, "an entry without a key tolerates every taint");
            }
            if *has_rest {
                self.push(name, format!("what follows the effect of {key:?} is ignored"));
            }
        }
        let render = |read: &OldToleration<'_>| Toleration {
            effect: read.effect.map(str::to_owned),
            key: Some(read.key.to_owned()),
            operator: Some(read.operator.to_owned()),
            toleration_seconds: None,
            value: read.value.map(str::to_owned),
        };
        (!read.is_empty()).then(|| read.iter().map(render).collect())
    }

    pub(super) fn pod_security(&mut self) -> PodSecurityContext {
        let name = workspace::POD_SECURITY_CONTEXT.name();
        let mut security = PodSecurityContext { fs_group: Some(GROUP), ..PodSecurityContext::default() };
        for Pair { key, value, .. } in self.pairs(name).unwrap_or_default() {
            match key {
                "fsGroup" => security.fs_group = self.number(name, value).or(security.fs_group),
                "runAsUser" => security.run_as_user = self.number(name, value).or(security.run_as_user),
                "runAsNonRoot" => security.run_as_non_root = Some(self.boolean(name, value)),
                _ => self.push(name, format!("{key:?} is silently ignored")),
            }
        }
        security
    }

    pub(super) fn container_security(&mut self) -> SecurityContext {
        let name = workspace::SECURITY_CONTEXT.name();
        let mut security = SecurityContext::default();
        for Pair { key, value, .. } in self.pairs(name).unwrap_or_default() {
            if key == "allowPrivilegeEscalation" {
                security.allow_privilege_escalation = Some(self.boolean(name, value));
            } else {
                self.push(name, format!("{key:?} is silently ignored"));
            }
        }
        security
    }

    fn number(&mut self, name: &str, value: &str) -> Option<i64> {
        value.parse().map_err(|_| self.stopped(name, value)).ok()
    }

    fn boolean(&mut self, name: &str, value: &str) -> bool {
        let is_true = value.eq_ignore_ascii_case("true");
        if !is_true && !value.eq_ignore_ascii_case("false") {
            self.push(name, format!("{value:?} is taken as false"));
        }
        is_true
    }

    pub(super) fn resources(&mut self) -> Option<ResourceRequirements> {
        let mut of = |resources: [(&str, &str); 2]| {
            let amounts: BTreeMap<String, Quantity> = resources
                .into_iter()
                .filter_map(|(resource, name)| Some((resource.to_owned(), self.amount(name)?)))
                .collect();
            (!amounts.is_empty()).then_some(amounts)
        };
        let requests =
            of([("cpu", workspace::CPU_REQUEST.name()), ("memory", workspace::MEMORY_REQUEST.name())]);
        let limits = of([("cpu", workspace::CPU_LIMIT.name()), ("memory", workspace::MEMORY_LIMIT.name())]);
        (requests.is_some() || limits.is_some()).then_some(ResourceRequirements {
            claims: None,
            limits,
            requests,
        })
    }

    fn amount(&mut self, name: &str) -> Option<Quantity> {
        let text = self.get(name)?;
        if text.is_empty() {
            self.stopped(name, text);
            return None;
        }
        if text.parse::<Amount>().is_err() {
            self.push(name, format!("{text:?} is no amount: {REFUSED_BY_CLUSTER}"));
        }
        Some(Quantity(text.to_owned()))
    }
}

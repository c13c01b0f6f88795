//! What a role lets a backend do besides Jobs, as the API server itself says.
//!
//! Pure: questions out, answers in. The documented Role allows Jobs alone; everything else is a gain, not a need.

use std::fmt::Write as _;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};

/// Everything that is asked: resource and verb, all of the core API group.
const QUESTIONS: [(&str, &str); 8] = [
    ("pods", "get"),
    ("pods", "list"),
    ("pods", "watch"),
    ("events", "get"),
    ("events", "list"),
    ("events", "watch"),
    ("secrets", "get"),
    ("secrets", "create"),
];

/// What a role lets a backend do besides Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It may read pods: exit codes, images, scheduling, memory, eviction, lost nodes.
    pub pods: bool,
    /// It may read events: why a pod was not made, or not set up.
    pub events: bool,
    /// It may make Secrets, and see whose one is that is there already.
    pub secrets: bool,
}

/// Returns what to ask the API server (`selfsubjectaccessreviews`), one request each.
#[must_use]
pub fn questions(namespace: &str) -> Vec<SelfSubjectAccessReview> {
    let ask = |(resource, verb): (&str, &str)| SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                resource: Some(resource.to_owned()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    QUESTIONS.map(ask).into()
}

impl Abilities {
    /// Reads the answers; one that is missing or does not say yes is a no.
    #[must_use]
    pub fn of(answers: &[SelfSubjectAccessReview]) -> Self {
        let may = |resource: &str, verb: &str| {
            answers.iter().any(|answer| {
                let asked = answer.spec.resource_attributes.as_ref();
                let is_it = asked.is_some_and(|asked| {
                    asked.resource.as_deref() == Some(resource) && asked.verb.as_deref() == Some(verb)
                });
                is_it && answer.status.as_ref().is_some_and(|status| status.allowed)
            })
        };
        let all = |resource: &str| {
            let mut verbs = QUESTIONS.iter().filter(|(of, _)| *of == resource);
            verbs.all(|(_, verb)| may(resource, verb))
        };
        Self { pods: all("pods"), events: all("events"), secrets: all("secrets") }
    }

    /// Says what is missed and which rules would give it, for people; `None` if nothing is missed.
    #[must_use]
    pub fn report(self) -> Option<String> {
        let missing: Vec<_> = [
            (self.pods, "pods", "pods are not readable: causes will be coarse"),
            (self.events, "events", "events are not readable: why a pod was not made stays unknown"),
            (self.secrets, "secrets", "Secrets cannot be made: payloads travel in the Kubernetes Job itself"),
        ]
        .into_iter()
        .filter(|(able, ..)| !able)
        .collect();
        if missing.is_empty() {
            return None;
        }
        let losses: Vec<_> = missing.iter().map(|(_, _, loss)| *loss).collect();
        let mut text = format!("{}; to change that, add to the Role:\n", losses.join("; "));
        for (_, resource, _) in &missing {
            let verbs: Vec<_> = QUESTIONS
                .iter()
                .filter(|(of, _)| of == resource)
                .map(|(_, verb)| format!("{verb:?}"))
                .collect();
            let verbs = verbs.join(", ");
            writeln!(text, "- apiGroups: [\"\"]\n  resources: [{resource:?}]\n  verbs: [{verbs}]")
                .expect("writing to a String cannot fail");
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use serde_json::Value;

    use super::*;

    /// The answers that a real server gave to a role.
    fn recorded(role: &str) -> Vec<SelfSubjectAccessReview> {
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes/server-and-rights");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let of_role = files.filter(|path| path.to_str().unwrap().contains(&format!("-review-{role}-")));
        of_role
            .map(|path| {
                let mut answer: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
                serde_json::from_value(answer["body"].take()).unwrap()
            })
            .collect()
    }

    /// Answers yes to what is recorded as allowed, whatever the verb: only one verb of each resource was asked there.
    fn spread(recorded: &[SelfSubjectAccessReview]) -> Vec<SelfSubjectAccessReview> {
        let mut all = questions("terrakube");
        for question in &mut all {
            let resource =
                |review: &SelfSubjectAccessReview| review.spec.resource_attributes.clone().unwrap().resource;
            let found = recorded.iter().find(|answer| resource(answer) == resource(question));
            question.status = found.and_then(|answer| answer.status.clone());
        }
        all
    }

    #[test]
    fn the_recorded_roles_are_told_apart() {
        let (seed, extended) = (recorded("seed"), recorded("extended"));
        assert_eq!((seed.len(), extended.len()), (3, 3));
        assert_eq!(Abilities::of(&spread(&seed)), Abilities::default());
        let able = Abilities::of(&spread(&extended));
        assert_eq!(able, Abilities { pods: true, events: true, secrets: false });
    }

    #[test]
    fn an_answer_that_is_missing_is_a_no() {
        let mut answers = spread(&recorded("extended"));
        answers.retain(|answer| {
            answer.spec.resource_attributes.as_ref().unwrap().verb.as_deref() != Some("watch")
        });
        assert_eq!(Abilities::of(&answers), Abilities::default());
    }

    #[test]
    fn the_report_holds_a_rule_for_everything_that_is_missed() {
        let report = Abilities { pods: false, events: true, secrets: true }.report().unwrap();
        assert_eq!(
            report,
            "pods are not readable: causes will be coarse; to change that, add to the Role:\n\
             - apiGroups: [\"\"]\n  resources: [\"pods\"]\n  verbs: [\"get\", \"list\", \"watch\"]\n"
        );
        assert!(
            Abilities::default()
                .report()
                .unwrap()
                .contains("resources: [\"secrets\"]\n  verbs: [\"get\", \"create\"]")
        );
        assert_eq!(Abilities { pods: true, events: true, secrets: true }.report(), None);
    }
}

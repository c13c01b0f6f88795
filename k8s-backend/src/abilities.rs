//! What a role allows besides Jobs, from access reviews of the API server.
//!
//! Pure: reviews out, responses in. Only Jobs are required; everything else makes causes more precise.

use std::fmt::Write as _;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};

/// The reviewed rights: resource and verb, all of the core API group.
const RIGHTS: [(&str, &str); 8] = [
    ("pods", "get"),
    ("pods", "list"),
    ("pods", "watch"),
    ("events", "get"),
    ("events", "list"),
    ("events", "watch"),
    ("secrets", "get"),
    ("secrets", "create"),
];

/// What a role allows besides Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// To read pods: exit codes, images, scheduling, memory, eviction, lost nodes.
    pub pods: bool,
    /// To read events: why a pod was not created, or not set up.
    pub events: bool,
    /// To create Secrets, and to read the owner of an existing one.
    pub secrets: bool,
}

/// Returns the access reviews to create (`selfsubjectaccessreviews`).
#[must_use]
pub fn access_reviews(namespace: &str) -> Vec<SelfSubjectAccessReview> {
    let review = |(resource, verb): (&str, &str)| SelfSubjectAccessReview {
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
    RIGHTS.map(review).into()
}

impl Abilities {
    /// Reads the reviews with their responses. A missing response means that the right is missing.
    #[must_use]
    pub fn from_reviews(reviews: &[SelfSubjectAccessReview]) -> Self {
        let may = |resource: &str, verb: &str| {
            reviews.iter().any(|review| {
                let attributes = review.spec.resource_attributes.as_ref();
                let is_it = attributes.is_some_and(|attributes| {
                    attributes.resource.as_deref() == Some(resource)
                        && attributes.verb.as_deref() == Some(verb)
                });
                is_it && review.status.as_ref().is_some_and(|status| status.allowed)
            })
        };
        let all = |resource: &str| {
            let mut verbs = RIGHTS.iter().filter(|(of, _)| *of == resource);
            verbs.all(|(_, verb)| may(resource, verb))
        };
        Self { pods: all("pods"), events: all("events"), secrets: all("secrets") }
    }

    /// Returns a text for the operator: what is missing, and the rules that would allow it; `None` if nothing
    /// is missing.
    #[must_use]
    pub fn report(self) -> Option<String> {
        let missing: Vec<_> = [
            (self.pods, "pods", "pods are not readable: causes are imprecise"),
            (
                self.events,
                "events",
                "events are not readable: the reason why a pod was not created is unknown",
            ),
            (self.secrets, "secrets", "Secrets cannot be created: Jobs with a Secret are refused"),
        ]
        .into_iter()
        .filter(|(able, ..)| !able)
        .collect();
        if missing.is_empty() {
            return None;
        }
        let effects: Vec<_> = missing.iter().map(|(_, _, effect)| *effect).collect();
        let mut text = format!("{}; to change that, add to the Role:\n", effects.join("; "));
        for (_, resource, _) in &missing {
            let verbs: Vec<_> =
                RIGHTS.iter().filter(|(of, _)| of == resource).map(|(_, verb)| format!("{verb:?}")).collect();
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

    /// The recorded responses of a real server to a role.
    fn recorded(role: &str) -> Vec<SelfSubjectAccessReview> {
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubernetes/server-and-rights");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let of_role = files.filter(|path| path.to_str().unwrap().contains(&format!("-review-{role}-")));
        of_role
            .map(|path| {
                let mut review: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
                serde_json::from_value(review["body"].take()).unwrap()
            })
            .collect()
    }

    /// Allows every verb of the recorded resources: only one verb of each was reviewed there.
    fn for_all_verbs(recorded: &[SelfSubjectAccessReview]) -> Vec<SelfSubjectAccessReview> {
        let mut all = access_reviews("terrakube");
        for review in &mut all {
            let resource =
                |review: &SelfSubjectAccessReview| review.spec.resource_attributes.clone().unwrap().resource;
            let found = recorded.iter().find(|recorded| resource(recorded) == resource(review));
            review.status = found.and_then(|review| review.status.clone());
        }
        all
    }

    #[test]
    fn reads_recorded_reviews_of_both_roles() {
        let (seed, extended) = (recorded("seed"), recorded("extended"));
        assert_eq!((seed.len(), extended.len()), (3, 3));
        assert_eq!(Abilities::from_reviews(&for_all_verbs(&seed)), Abilities::default());
        let able = Abilities::from_reviews(&for_all_verbs(&extended));
        assert_eq!(able, Abilities { pods: true, events: true, secrets: false });
    }

    #[test]
    fn missing_response_is_a_missing_right() {
        let mut reviews = for_all_verbs(&recorded("extended"));
        reviews.retain(|review| {
            review.spec.resource_attributes.as_ref().unwrap().verb.as_deref() != Some("watch")
        });
        assert_eq!(Abilities::from_reviews(&reviews), Abilities::default());
    }

    #[test]
    fn report_has_a_rule_for_every_missing_right() {
        let report = Abilities { pods: false, events: true, secrets: true }.report().unwrap();
        assert_eq!(
            report,
            "pods are not readable: causes are imprecise; to change that, add to the Role:\n\
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

//! The only way to a Kubernetes Job: variables are read, checked against the
//! operator's policy and validated, in this order.

use std::borrow::Cow;

use config_core::{EphemeralSettings, Policy, Problems, Variables};

use crate::{
    AttemptAccess, AttemptKey, Compatible, EphemeralJobData, JobPlan, Preview, Profile, compatible, explain,
    request::Request, validate::validate,
};

/// Plans Kubernetes Jobs with the operator's settings and under the operator's policy.
///
/// No other public item makes a [`JobPlan`], so no Kubernetes Job of this crate skips the policy. The rules
/// are those for the organization of the [`AttemptKey`], found by its id and by its name. The variables of
/// the settings file are merged here, below those of the workspace; only they are exempt from the policy,
/// because the operator wrote both.
///
/// # Other ways do not compile
///
/// A plan cannot be built from overrides that were not checked, nor be changed afterwards:
///
/// ```compile_fail,E0451
/// # fn example(plan: job_spec::JobPlan, image: job_spec::names::Image) -> job_spec::JobPlan {
/// job_spec::JobPlan { image, ..plan }
/// # }
/// ```
///
/// ```compile_fail,E0616
/// # fn example(plan: &mut job_spec::JobPlan, image: job_spec::names::Image) {
/// plan.image = image;
/// # }
/// ```
///
/// Validation and rendering have no door of their own:
///
/// ```compile_fail,E0432
/// use job_spec::validate;
/// ```
///
/// ```compile_fail,E0432
/// use job_spec::render;
/// ```
///
/// No variable can claim to be the operator's:
///
/// ```compile_fail,E0624
/// use config_core::{Origin, SourceName, Sourced, Variables};
/// let origin = Origin::new(SourceName::SettingsFile, "EPHEMERAL_CONFIG_IMAGE");
/// Variables::new([("EPHEMERAL_CONFIG_IMAGE".to_owned(), Sourced::new("evil".to_owned(), origin))]);
/// ```
///
/// A key cannot name one organization for the labels and another one for the policy:
///
/// ```compile_fail,E0451
/// # fn example(key: job_spec::AttemptKey, organization: job_spec::Organization) -> job_spec::AttemptKey {
/// job_spec::AttemptKey { organization, ..key }
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    settings: &'a EphemeralSettings,
    policy: &'a Policy,
}

impl<'a> Planner<'a> {
    /// Creates a planner.
    #[must_use]
    pub const fn new(settings: &'a EphemeralSettings, policy: &'a Policy) -> Self {
        Self { settings, policy }
    }

    /// Plans the Kubernetes Job of an attempt.
    ///
    /// `variables` are those of category `ENV` of workspace, organization and collections
    /// ([`Variables::merge`]). `access` is `None` for an executor that does not call the api-server.
    ///
    /// # Errors
    /// Every problem, sorted by key: variables that are unknown or malformed, values that the policy does not
    /// permit, a payload of another attempt or too large for an environment variable, reserved labels,
    /// annotations and environment variables, resources above the maximum, fields that the Pod Security level
    /// refuses. Neither payload nor token is shown.
    pub fn plan(
        &self,
        variables: &Variables,
        payload: &EphemeralJobData,
        key: &AttemptKey,
        access: impl Into<Option<AttemptAccess>>,
    ) -> Result<JobPlan, Problems> {
        let access = access.into();
        let request = self.request(variables, payload, key, access.as_ref());
        validate(&request, &request.variables)
    }

    /// Explains what the variables make of the Kubernetes Job, whether they are valid or not. Refused
    /// variables are reported and left out of the Job that is shown.
    ///
    /// The payload should hold the [`environment`](Self::environment), as that of a real attempt does.
    #[must_use]
    pub fn preview(
        &self,
        profile: Profile,
        variables: &Variables,
        payload: &EphemeralJobData,
        key: &AttemptKey,
        access: impl Into<Option<AttemptAccess>>,
    ) -> Preview {
        let access = access.into();
        explain::preview(profile, &self.request(variables, payload, key, access.as_ref()))
    }

    /// Renders the Kubernetes Job that Terrakube 2.27 makes of the same settings, payload and variables, with
    /// its defects: for comparison, never to be submitted.
    ///
    /// Variables that the policy refuses are left out, although Terrakube 2.27 has no policy; a defect says
    /// so. Where it makes no Job at all, because a value causes an exception,
    /// the Job shown lacks that value, and the defect says so.
    ///
    /// ```
    /// use config_core::{EphemeralSettings, Policy, Variables};
    /// use job_spec::{AttemptKey, EphemeralJobData, Organization, Planner, StepType};
    /// let key = AttemptKey::new(Organization::new("org-1", "acme"), "dev", 42, 100, 1);
    /// let payload = EphemeralJobData::new(StepType::TerraformPlan, &key, "step-1");
    /// let variables: Variables = [("EPHEMERAL_CONFIG_ANNOTATIONS", "token=YQ==")].into_iter().collect();
    ///
    /// let (settings, policy) = (EphemeralSettings::default(), Policy::default());
    /// let old = Planner::new(&settings, &policy).compatible(&variables, &payload, &key, None);
    /// assert_eq!(old.job.metadata.name.as_deref(), Some("job-42"));
    /// assert_eq!(old.job.metadata.annotations.expect("one")["token"], "YQ");
    /// assert_eq!(old.job.spec.expect("a spec").backoff_limit, None);
    /// assert!(old.defects.iter().any(|defect| defect.about == "spec.backoffLimit"));
    /// ```
    #[must_use]
    pub fn compatible(
        &self,
        variables: &Variables,
        payload: &EphemeralJobData,
        key: &AttemptKey,
        access: impl Into<Option<AttemptAccess>>,
    ) -> Compatible {
        let access = access.into();
        compatible::compatible(&self.request(variables, payload, key, access.as_ref()))
    }

    /// Returns the variables that a step sees: those given, and below them those of
    /// the settings file for its organization.
    ///
    /// Executors are handed all of them, because terraform must find its plugin
    /// cache where the pod has mounted it.
    #[must_use]
    pub fn environment<'v>(&self, variables: &'v Variables, key: &AttemptKey) -> Cow<'v, Variables> {
        key.organization.variables(self.settings, variables)
    }

    fn request<'r>(
        &'r self,
        variables: &'r Variables,
        payload: &'r EphemeralJobData,
        key: &'r AttemptKey,
        access: Option<&'r AttemptAccess>,
    ) -> Request<'r> {
        Request {
            key,
            settings: self.settings,
            rules: key.organization.rules(self.policy),
            variables: self.environment(variables, key),
            payload,
            access,
        }
    }
}

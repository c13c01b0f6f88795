//! The patch of a workspace: changes of the finished pod for which there is no variable.
//!
//! A patch sees neither the payload nor the token: it is applied to a pod whose executor has no environment.
//! Afterwards the two pods are compared field by field, so the way by which a field
//! was changed does not matter.

use std::collections::{BTreeMap, BTreeSet};

use config_core::{Problem, value::Yaml, workspace};
use json_patch::{Patch, PatchErrorKind, PatchOperation};
use k8s_openapi::{DeepMerge as _, api::core::v1::PodTemplateSpec};
use serde_json::{Value, json};

use super::{FieldErrors, resources, strict};
use crate::{
    JobPlan,
    explain::owner,
    fields::{self, FieldPath, PatchedFields},
};

/// Applies the patch of a workspace to the pod of a plan. A pod with problems is patched too, for further
/// checks; one that the patch does not fit stays as it is.
pub(in crate::validate) fn patch(plan: &mut JobPlan, yaml: &Yaml) -> Vec<Problem> {
    let key = workspace::POD_PATCH.name();
    let mut errors = FieldErrors::new(key, plan.origins.of(key));
    let template = PodTemplateSpec::clone(&plan.template);
    let before = fields_of(&template);
    let patched = match yaml.value() {
        list @ Value::Array(_) => operated(&mut errors, &template, list),
        object => merged(&mut errors, template, object),
    };
    let Some(template) = patched else { return errors.problems };
    let after = fields_of(&template);
    let is_same = |path: &FieldPath| before.get(path) == after.get(path);
    let changed: BTreeSet<&FieldPath> =
        before.keys().chain(after.keys()).filter(|path| !is_same(path)).collect();
    refuse_owned(&mut errors, &changed);
    check_amounts(&mut errors, &template);
    plan.patched = PatchedFields(changed.into_iter().cloned().collect());
    *plan.template = template;
    errors.problems
}

/// Merges as Kubernetes merges: lists of named things by name, other lists are replaced. A field whose new
/// value is `null` is removed.
fn merged(errors: &mut FieldErrors, mut template: PodTemplateSpec, patch: &Value) -> Option<PodTemplateSpec> {
    let mut patch = patch.clone();
    let removed = nulls::take(&mut patch);
    // A pod needs containers; a patch does not.
    if let Some(Value::Object(spec)) = patch.get_mut("spec") {
        spec.entry("containers").or_insert_with(|| json!([]));
    }
    let patch: PodTemplateSpec = strict::object(errors, "", &patch)?;
    template.merge_from(patch);
    if removed.is_empty() {
        return Some(template);
    }
    let mut document = serde_json::to_value(template).expect("a pod is plain data with text keys");
    let missing: Vec<&FieldPath> =
        removed.iter().filter(|path| !nulls::remove(&mut document, path)).collect();
    for path in &missing {
        errors.push(&fields::display(path), "null, which removes a field", "a field that the pod has");
    }
    if missing.is_empty() { strict::object(errors, "", &document) } else { None }
}

fn operated(errors: &mut FieldErrors, template: &PodTemplateSpec, list: &Value) -> Option<PodTemplateSpec> {
    let operations: Vec<(usize, PatchOperation)> = strict::list(errors, list);
    for (index, operation) in &operations {
        // With these operations a short patch could grow without bounds.
        if let PatchOperation::Copy(_) | PatchOperation::Move(_) = operation {
            errors.push(&format!("[{index}].op"), "copy or move", "one of add, remove, replace, test");
        }
    }
    if !errors.problems.is_empty() {
        return None;
    }
    let operations = Patch(operations.into_iter().map(|(_, operation)| operation).collect());
    let mut document = serde_json::to_value(template).expect("a pod is plain data with text keys");
    if let Err(error) = json_patch::patch(&mut document, &operations) {
        let expected = match error.kind {
            PatchErrorKind::TestFailed => "the value that stands there",
            _ => "a path that the pod has before this operation; the executor's environment cannot be seen",
        };
        errors.push(&format!("[{}].path", error.operation), error.path.as_str(), expected);
        return None;
    }
    strict::object(errors, "", &document)
}

/// Refuses changes of fields that another variable sets or that an executor needs unchanged.
fn refuse_owned(errors: &mut FieldErrors, changed: &BTreeSet<&FieldPath>) {
    let mut reported = BTreeSet::new();
    for path in changed {
        if let Some(owner) = owner(path)
            && reported.insert(owner.clone())
        {
            errors.push(
                &fields::display(path.get(2..).unwrap_or_default()),
                "",
                format!("no change there: {owner}"),
            );
        }
    }
}

fn check_amounts(errors: &mut FieldErrors, template: &PodTemplateSpec) {
    if let Some(requirements) = template.spec.as_ref().and_then(|spec| spec.resources.as_ref()) {
        resources::check(errors, "spec.resources", requirements);
    }
    for container in template.spec.iter().flat_map(|spec| &spec.containers) {
        if let Some(requirements) = &container.resources {
            let path = format!("spec.containers[{}].resources", container.name);
            resources::check(errors, &path, requirements);
        }
    }
}

/// The fields of a pod by the paths that they have in the Kubernetes Job. Items of a list that have one name
/// have one path, so a path may have several values: none of them hides another one.
fn fields_of(template: &PodTemplateSpec) -> BTreeMap<FieldPath, Vec<Value>> {
    let document = json!({ "spec": { "template": template } });
    let mut fields: BTreeMap<FieldPath, Vec<Value>> = BTreeMap::new();
    fields::visit(&document, &mut |path, value| {
        fields.entry(path.to_vec()).or_default().push(value.clone());
    });
    fields
}

mod nulls;

#[cfg(test)]
mod tests;

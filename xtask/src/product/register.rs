//! Registers the example configuration: an organization, a workspace with its variables, two templates.

use std::{
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    api::Api,
    model::{Items, Named},
    tool::Tool,
};

/// The configuration, below the root of the repository.
pub(crate) const CONFIGURATION: &str = "examples/hello-terraform";

const PLAN_AND_APPLY: &str = "\
flow:
- {type: terraformPlan, name: Plan, step: 100}
- {type: approval, name: Approval, step: 150}
- {type: terraformApply, name: Apply, step: 200}
";

const DESTROY: &str = "\
flow:
- {type: terraformDestroy, name: Destroy, step: 100}
";

/// What a workspace is to run.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) organization: &'a str,
    /// Folder or repository.
    pub(crate) source: &'a str,
    pub(crate) tool: Tool,
    /// The services of the configuration, in HCL.
    pub(crate) services: &'a str,
}

/// What was registered.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) workspace: String,
    /// The name of the workspace.
    pub(crate) name: String,
    pub(crate) plan_and_apply: String,
    pub(crate) destroy: String,
    /// The value of the sensitive variable.
    pub(crate) secret: String,
}

/// Registers a new workspace, and whatever else is not there yet.
pub(crate) fn register(api: &Api, wanted: &Wanted<'_>) -> anyhow::Result<Registered> {
    let organization = find_or_create(api, "/v1/organizations", &json!({ "name": wanted.organization }))?;
    let workspaces = format!("/v1/organizations/{organization}/workspaces");
    let name = free_name(api, &workspaces, "hello-terraform")?;
    let workspace: Named = api.create(
        &workspaces,
        &json!({ "name": name, "source": wanted.source, "iacType": wanted.tool.name() }),
    )?;
    let secret = secret();
    for variable in [
        json!({ "key": "owner", "value": "the demo", "category": "TERRAFORM" }),
        json!({ "key": "services", "value": wanted.services, "category": "TERRAFORM", "hcl": true }),
        json!({ "key": "database_password", "value": secret, "category": "TERRAFORM", "sensitive": true }),
    ] {
        set_variable(api, &workspace.id, &variable)?;
    }
    let templates = format!("/v1/organizations/{organization}/templates");
    let template =
        |name: &str, tcl: &str| find_or_create(api, &templates, &json!({ "name": name, "tcl": tcl }));
    let plan_and_apply = template("plan-and-apply", PLAN_AND_APPLY)?;
    let destroy = template("destroy", DESTROY)?;
    Ok(Registered { workspace: workspace.id, name, plan_and_apply, destroy, secret })
}

/// Gives a workspace a variable.
pub(crate) fn set_variable(api: &Api, workspace: &str, variable: &Value) -> anyhow::Result<()> {
    api.create::<Value>(&format!("/v1/workspaces/{workspace}/variables"), variable).map(drop)
}

/// Returns the id of the thing of this name in a list, which somebody may have made earlier.
fn find_or_create(api: &Api, path: &str, body: &Value) -> anyhow::Result<String> {
    let known = api.get::<Items<Named>>(path)?.items;
    match known.into_iter().find(|thing| body["name"] == thing.name.as_str()) {
        Some(thing) => Ok(thing.id),
        None => Ok(api.create::<Named>(path, body)?.id),
    }
}

/// Returns a name that is not in a list yet: a new workspace has no state, so the jobs end as expected.
fn free_name(api: &Api, path: &str, wanted: &str) -> anyhow::Result<String> {
    let known = api.get::<Items<Named>>(path)?.items;
    let is_free = |name: &String| known.iter().all(|thing| &thing.name != name);
    let candidates = (1_u32..).map(|n| if n == 1 { wanted.to_owned() } else { format!("{wanted}-{n}") });
    candidates.into_iter().find(is_free).context("every name is taken")
}

/// Makes a value that stands nowhere by chance.
fn secret() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("not-for-the-log-{}-{now}", process::id())
}

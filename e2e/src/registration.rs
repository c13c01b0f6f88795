//! Registers the example configuration: an organization, a workspace with its variables, two templates.

use std::{
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use api_server::client::{Client, List, Named};
use serde_json::{Value, json};

use crate::tool::Tool;

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

/// A workspace to register.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) organization: &'a str,
    /// Folder or repository of the configuration.
    pub(crate) source: &'a str,
    pub(crate) tool: Tool,
    /// The variable `services` of the configuration, in HCL.
    pub(crate) services: &'a str,
}

/// A registered workspace.
#[derive(Debug)]
pub(crate) struct Registered {
    /// The ID of the workspace.
    pub(crate) workspace: String,
    /// The name of the workspace.
    pub(crate) name: String,
    /// The ID of the template.
    pub(crate) plan_and_apply: String,
    /// The ID of the template.
    pub(crate) destroy: String,
    /// The value of the sensitive variable.
    pub(crate) secret: String,
}

impl Registration<'_> {
    /// Creates a new workspace, and the organization and the templates if they are missing.
    pub(crate) async fn register(&self, client: &Client) -> anyhow::Result<Registered> {
        let organization =
            find_or_create(client, "/v1/organizations", &json!({ "name": self.organization })).await?;
        let workspaces = format!("/v1/organizations/{organization}/workspaces");
        let name = free_name(client, &workspaces, "hello-terraform").await?;
        let body = json!({ "name": name, "source": self.source, "iacType": self.tool.name() });
        let workspace: Named = client.create(&workspaces, &body).await?;
        let secret = unique_secret();
        for variable in [
            json!({ "key": "owner", "value": "the demo", "category": "TERRAFORM" }),
            json!({ "key": "services", "value": self.services, "category": "TERRAFORM", "hcl": true }),
            json!({ "key": "database_password", "value": secret, "category": "TERRAFORM", "sensitive": true }),
        ] {
            set_variable(client, &workspace.id, &variable).await?;
        }
        let templates = format!("/v1/organizations/{organization}/templates");
        let template = async |name: &str, tcl: &str| {
            find_or_create(client, &templates, &json!({ "name": name, "tcl": tcl })).await
        };
        let plan_and_apply = template("plan-and-apply", PLAN_AND_APPLY).await?;
        let destroy = template("destroy", DESTROY).await?;
        Ok(Registered { workspace: workspace.id, name, plan_and_apply, destroy, secret })
    }
}

/// Sets a variable of a workspace.
pub(crate) async fn set_variable(client: &Client, workspace: &str, variable: &Value) -> anyhow::Result<()> {
    client.create::<Value>(&format!("/v1/workspaces/{workspace}/variables"), variable).await?;
    Ok(())
}

/// Returns the ID of the resource of this name, which an earlier run may have created.
async fn find_or_create(client: &Client, path: &str, body: &Value) -> anyhow::Result<String> {
    let known = client.get::<List<Named>>(path).await?.items;
    match known.into_iter().find(|resource| body["name"] == resource.name.as_str()) {
        Some(resource) => Ok(resource.id),
        None => Ok(client.create::<Named>(path, body).await?.id),
    }
}

/// Returns a name that is not taken: a new workspace has no state, so the jobs end as expected.
async fn free_name(client: &Client, path: &str, wanted: &str) -> anyhow::Result<String> {
    let known = client.get::<List<Named>>(path).await?.items;
    let is_free = |name: &String| known.iter().all(|resource| &resource.name != name);
    let mut names = (1_u32..).map(|n| if n == 1 { wanted.to_owned() } else { format!("{wanted}-{n}") });
    names.find(is_free).context("every name is taken")
}

fn unique_secret() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("not-for-the-log-{}-{now}", process::id())
}

//! Environment variables and host names of the executor's container.

use crate::{
    names::ConfigMapName,
    setting::{Items, Setting, value, variables},
    value::{EnvVars, HostAliases, NameList},
};

variables! {
    ENVIRONMENT_GROUP;

    /// Environment variables of the executor's container; they win over entries of Secrets and config maps. A
    /// `$` is a plain character: nothing is expanded. The executor's own inputs cannot be set. The values are
    /// part of the Kubernetes Job, where everyone who may read Jobs can see them.
    JOB_ENV_VARS: EnvVars = value, Setting {
        grammar: "`NAME=value;NAME=value`; a `;` in a value is written `\\;`",
        example: "HTTPS_PROXY=http://proxy.example.com:3128",
        items: Items::SeparatedBy(';'),
        is_secret: true,
        sets: &["spec.template.spec.containers.executor.env.**"],
        ..Setting::workspace("EPHEMERAL_JOB_ENV_VARS")
    };

    /// Config maps whose entries become environment variables of the executor. Entries of the platform's
    /// Secrets win over them.
    ENVFROM_CONFIG_MAP: NameList<ConfigMapName> = value, Setting {
        grammar: "DNS subdomains separated by `,`",
        example: "proxy-settings,mirrors",
        items: Items::SeparatedBy(','),
        sets: &["spec.template.spec.containers.executor.envFrom.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP")
    };

    /// Host names beside those that DNS knows; they are written to `/etc/hosts` of the container.
    HOST_ALIASES: HostAliases = value, Setting {
        grammar: "`address=name,name` separated by `;`; addresses of IPv4 or IPv6, names are DNS subdomains",
        example: "10.0.0.1=git.example.com,registry.example.com;fd00::1=mirror",
        items: Items::SeparatedBy(';'),
        sets: &["spec.template.spec.hostAliases.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_HOST_ALIASES")
    };
}

//! The small grammars: what prints reads as itself, errors name what is wrong,
//! accepted parts satisfy their rules.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use config_core::{
    kubernetes::Rule,
    names::SecretName,
    value::{
        ContainerSecurity, Deliveries, EntryError, EnvVars, HostAliases, KeyValues, ListError, NameList,
        PodSecurity, SeccompProfile, TaintEffect, TaintMatch, Toleration, Tolerations,
    },
};

use crate::{Target, checks, owned, text_of};

const KEY_VALUES_SEEDS: &[&str] = &["key1=value1;key2=value2", " a = b=c ;; d=; a=2 ;", "a;=1"];

pub(crate) const KEY_VALUES: Target = Target {
    name: "key-values",
    longest: 64,
    about: "a list of key=value prints and reads as itself; no key is empty or holds a separator",
    seeds: || owned(KEY_VALUES_SEEDS),
    run: |data| {
        let Some(list) = list::<KeyValues>(&text_of(data)) else { return };
        for (key, value) in list.iter() {
            assert!(!key.is_empty() && !key.contains(['=', ';']) && key.trim() == key, "{key:?}");
            assert!(!value.contains(';') && value.trim() == value, "{value:?}");
            assert_eq!(list.get(key), Some(value));
        }
        assert_eq!(list.is_empty(), list.iter().next().is_none());
    },
};

pub(crate) const NAMES: Target = Target {
    name: "names",
    longest: 64,
    about: "a list of names has at least one, and each is a DNS subdomain",
    seeds: || owned(&["executor-secrets, cloud.credentials,", " , ", "A,b,c_d"]),
    run: |data| {
        let Some(names) = list::<NameList<SecretName>>(&text_of(data)) else { return };
        assert!(names.iter().next().is_some(), "no name");
        names.iter().for_each(|name| checks::rule(Rule::DnsSubdomain, name.as_str()));
    },
};

pub(crate) const ENV_VARS: Target = Target {
    name: "env-vars",
    longest: 64,
    about: "environment variables have names that every Kubernetes takes, and Debug shows no value",
    seeds: || owned(&["HTTPS_PROXY=http://proxy:3128; FLAGS = -a=b$(X);", "A=1;hunter2", "1=2;..a=\0"]),
    run: |data| {
        let text = text_of(data);
        let Some(variables) = list::<EnvVars>(&text) else { return };
        for (name, value) in variables.iter() {
            checks::rule(Rule::EnvName, name);
            assert!(!value.contains([';', '\0']), "{value:?}");
            assert_eq!(variables.get(name), Some(value));
        }
        let mut names = variables.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        names = format!("{{{names}}}");
        assert_eq!(format!("{variables:?}"), names, "the names and nothing else");
    },
};

pub(crate) const TOLERATIONS: Target = Target {
    name: "tolerations",
    longest: 64,
    about: "a toleration is one that Kubernetes accepts; every taint is tolerated \
        only where a star is written",
    seeds: || {
        owned(&[
            "key:Exists:NoSchedule;gpu=true:Equal:NoExecute:300; spot",
            "*:Exists;a/b=:Equal:PreferNoSchedule",
            "gpu:Exsts;:;a=b:Exists;k:Equal:NoSchedule:5",
        ])
    },
    run: |data| {
        let text = text_of(data);
        let Some(tolerations) = list::<Tolerations>(&text) else { return };
        assert!(tolerations.iter().next().is_some(), "no toleration");
        tolerations.iter().for_each(|one| toleration(&text, one));
    },
};

fn toleration(text: &str, toleration: &Toleration) {
    let Toleration { taint, effect, seconds } = toleration;
    match taint {
        TaintMatch::Every => assert!(text.contains('*'), "{text:?} has no star"),
        TaintMatch::Exists { key } => checks::rule(Rule::LabelKey, key),
        TaintMatch::Equal { key, value } => {
            checks::rule(Rule::LabelKey, key);
            checks::rule(Rule::LabelValue, value);
        }
    }
    assert!(seconds.is_none() || *effect == Some(TaintEffect::NoExecute), "{text:?}");
    assert_eq!(toleration.to_string().parse::<Toleration>().as_ref(), Ok(toleration));
}

pub(crate) const POD_SECURITY: Target = Target {
    name: "pod-security",
    longest: 64,
    about: "ids are such as Kubernetes takes, and user 0 is never combined with the refusal of it",
    seeds: || {
        owned(&[
            "runAsUser=2000; fsGroup=3000;runAsGroup=0;runAsNonRoot=TRUE",
            "runAsUser=0;runAsNonRoot=true",
            "runAsUsr=1;fsGroup=2147483648;runAsUser=+7",
            "supplementalGroups=5,4;seccompProfile=Localhost/a/b.json;seccompProfile=Unconfined",
        ])
    },
    run: |data| {
        let Some(security) = list::<PodSecurity>(&text_of(data)) else { return };
        let ids = [security.fs_group(), security.run_as_group(), security.run_as_user()];
        let groups = security.supplemental_groups().unwrap_or_default();
        let mut ids = ids.into_iter().flatten().chain(groups.iter().copied());
        assert!(ids.all(|id| i32::try_from(id).is_ok()), "{security}");
        let profile = security.seccomp_profile().and_then(SeccompProfile::localhost_profile);
        assert!(profile.is_none_or(|path| !path.starts_with('/') && !path.contains('\0')), "{security}");
        assert!(security.run_as_user() != Some(0) || security.run_as_non_root() == Some(false), "{security}");
    },
};

pub(crate) const CONTAINER_SECURITY: Target = Target {
    name: "container-security",
    longest: 64,
    about: "what the container may do prints and reads as itself",
    seeds: || {
        owned(&[
            "allowPrivilegeEscalation=false;readOnlyRootFilesystem=True",
            "addCapabilities=NET_BIND_SERVICE,CHOWN,,;readOnly=yes",
            "addCapabilities=CAP_SETUID,ALL",
        ])
    },
    run: |data| {
        let Some(security) = list::<ContainerSecurity>(&text_of(data)) else { return };
        let flags = [security.allow_privilege_escalation(), security.read_only_root_filesystem()];
        let added: Vec<&str> = security.add_capabilities().collect();
        assert!(added.is_sorted() && !added.contains(&"ALL"), "{security}");
        let written = flags.into_iter().flatten().count() + usize::from(!added.is_empty());
        assert_eq!(written, security.to_string().matches('=').count());
    },
};

pub(crate) const HOST_ALIASES: Target = Target {
    name: "host-aliases",
    longest: 64,
    about: "an address has at least one name, and each is a DNS subdomain",
    seeds: || {
        owned(&[
            "10.0.0.7=git.internal,registry.internal;fd00::7=v6",
            " ::ffff:1.2.3.4 = a ;127.0.0.1=b,b,",
            "10.0.0.256=a;1.2.3.4;=b;1.2.3.4=A_b",
        ])
    },
    run: |data| {
        let Some(aliases) = list::<HostAliases>(&text_of(data)) else { return };
        for alias in &aliases {
            assert!(!alias.names().is_empty(), "{aliases}");
            alias.names().iter().for_each(|name| checks::rule(Rule::DnsSubdomain, name));
        }
        assert_eq!(aliases.is_empty(), aliases.iter().next().is_none());
    },
};

pub(crate) const DELIVERIES: Target = Target {
    name: "deliveries",
    longest: 64,
    about: "there is a way of delivery, and none twice",
    seeds: || owned(&["env, claim,,secret", "evn,env,env", ","]),
    run: |data| {
        let Some(deliveries) = list::<Deliveries>(&text_of(data)) else { return };
        let mut ways: Vec<_> = deliveries.iter().collect();
        let count = ways.len();
        ways.sort_unstable();
        ways.dedup();
        assert!(count > 0 && ways.len() == count, "{deliveries}");
    },
};

/// Reads a list and checks what holds for every list; `None` is a proper refusal.
pub(crate) fn list<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = ListError> + Display + PartialEq + Debug,
{
    let parsed = text.parse::<T>();
    assert_eq!(parsed, text.parse::<T>(), "the same text gives the same result: {text:?}");
    match parsed {
        Ok(value) => {
            reads_as_itself(&value, |printed| printed.parse::<T>().ok());
            Some(value)
        }
        Err(errors) => {
            assert!(errors.iter().next().is_some(), "an error without an entry: {text:?}");
            errors.iter().for_each(entry);
            None
        }
    }
}

/// Reads one entry and checks what holds for every entry; `None` is a proper refusal.
pub(crate) fn single<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = EntryError> + Display + PartialEq + Debug,
{
    let parsed = text.parse::<T>();
    assert_eq!(parsed, text.parse::<T>(), "the same text gives the same result: {text:?}");
    parsed
        .inspect(|value| reads_as_itself(value, |printed| printed.parse::<T>().ok()))
        .inspect_err(entry)
        .ok()
}

fn reads_as_itself<T: Display + PartialEq + Debug>(value: &T, parse: impl Fn(&str) -> Option<T>) {
    let printed = value.to_string();
    let again = parse(&printed);
    assert_eq!(again.as_ref(), Some(value), "{printed:?} does not read as what it was printed from");
    assert_eq!(again.map(|again| again.to_string()), Some(printed));
}

fn entry(error: &EntryError) {
    assert!(!error.expected.is_empty(), "{error}");
    assert!(error.hint.as_ref().is_none_or(|hint| !hint.is_empty()), "{error}");
    assert!(!error.to_string().contains('\n'), "one line: {error}");
}

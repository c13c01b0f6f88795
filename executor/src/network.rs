//! Proxies of this attempt: from the environment of the executor and from the variables of the workspace.
//!
//! Programs differ in the spelling that they read: curl and git read `http_proxy` in lower case alone,
//! terraform ignores `ALL_PROXY`. So each setting is read in both spellings, and children get all of them.

use std::collections::BTreeMap;

use config_core::EnvSnapshot;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// Hosts that are always reached without a proxy: this machine, and the cluster.
const DIRECT: &[&str] = &["localhost", "127.0.0.1", "::1", ".svc", ".cluster.local"];

/// The proxies for children and for downloads of the executor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxies {
    http: Option<String>,
    https: Option<String>,
    no: Option<String>,
}

impl Proxies {
    /// Reads the settings. Those of the workspace win, in any spelling; `direct` are more hosts without a
    /// proxy.
    pub(crate) fn new(
        inherited: &BTreeMap<String, String>,
        workspace: &BTreeMap<String, String>,
        direct: &[&str],
    ) -> Self {
        let find = |name: &str| {
            let lower = name.to_ascii_lowercase();
            [workspace, inherited].iter().find_map(|map| map.get(name).or_else(|| map.get(&lower)))
        };
        // An empty value switches an inherited proxy off.
        let set = |name| find(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let for_scheme = |name| match find(name) {
            Some(_) => set(name),
            None => set("ALL_PROXY"),
        };
        let (http, https) = (for_scheme("HTTP_PROXY"), for_scheme("HTTPS_PROXY"));
        if http.or(https).is_none() {
            return Self::default();
        }
        let own = set("NO_PROXY").into_iter().flat_map(|list| list.split(','));
        let mut hosts: Vec<&str> = Vec::new();
        for host in own.chain(DIRECT.iter().copied()).chain(direct.iter().copied()) {
            let host = host.trim();
            if !host.is_empty() && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Self { http: http.map(Into::into), https: https.map(Into::into), no: Some(hosts.join(",")) }
    }

    /// Reads the settings of the executor alone.
    pub(crate) fn of_executor(env: &EnvSnapshot) -> Self {
        let inherited = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::new(&inherited, &BTreeMap::new(), &[])
    }

    /// Puts the settings into the environment of a child, in both spellings.
    pub(crate) fn add_to(&self, env: &mut BTreeMap<String, String>) {
        for (name, value) in
            [("HTTP_PROXY", &self.http), ("HTTPS_PROXY", &self.https), ("NO_PROXY", &self.no)]
        {
            for name in [name.to_owned(), name.to_ascii_lowercase()] {
                match value {
                    Some(value) => env.insert(name, value.clone()),
                    None => env.remove(&name),
                };
            }
        }
    }

    /// Returns the rule for an HTTP client.
    pub(crate) fn for_client(&self) -> reqwest::Proxy {
        let (matcher, proxies) = (self.matcher(), self.clone());
        reqwest::Proxy::custom(move |url| {
            matcher.intercept(&url.as_str().parse().ok()?)?;
            // The setting itself: the answer of the matcher is without its user name and password.
            if url.scheme() == "https" { proxies.https.clone() } else { proxies.http.clone() }
        })
    }

    /// Returns the rule that chooses the proxy of an address.
    pub(crate) fn matcher(&self) -> Matcher {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Matcher::builder().http(text(&self.http)).https(text(&self.https)).no(text(&self.no)).build()
    }

    /// Returns the proxy of an address, without credentials, for messages.
    pub(crate) fn shown_for(&self, url: &Url) -> Option<String> {
        let intercept = self.matcher().intercept(&url.as_str().parse().ok()?)?;
        Some(intercept.uri().to_string().trim_end_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn shown(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.shown_for(&Url::parse(url).unwrap())
    }

    #[test]
    fn reads_both_spellings_and_prefers_the_workspace() {
        let inherited = map(&[("https_proxy", "http://pod:1"), ("HTTP_PROXY", "http://pod:2")]);
        let workspace = map(&[("HTTPS_PROXY", "http://user:secret@ws:3")]);
        let proxies = Proxies::new(&inherited, &workspace, &[]);
        assert_eq!(shown(&proxies, "https://example.com/x").as_deref(), Some("http://ws:3"));
        assert_eq!(shown(&proxies, "http://example.com/x").as_deref(), Some("http://pod:2"));
        let all = Proxies::new(&map(&[("all_proxy", "http://pod:4")]), &map(&[]), &[]);
        assert_eq!(shown(&all, "https://example.com/x").as_deref(), Some("http://pod:4"));
        let off = Proxies::new(&inherited, &map(&[("HTTPS_PROXY", ""), ("http_proxy", "")]), &[]);
        assert_eq!(off, Proxies::default());
    }

    #[test]
    fn cluster_and_named_hosts_are_reached_directly() {
        let inherited = map(&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", "corp.example, 10.0.0.0/8")]);
        let proxies = Proxies::new(&inherited, &map(&[]), &["api.internal"]);
        for url in [
            "https://git.corp.example",
            "https://10.1.2.3/",
            "https://api.internal:8443/",
            "https://api.terrakube.svc/",
            "https://api.ns.svc.cluster.local/",
            "https://127.0.0.1:9/",
            "https://localhost/",
        ] {
            assert_eq!(shown(&proxies, url), None, "{url}");
        }
        assert!(shown(&proxies, "https://registry.terraform.io/").is_some());
    }

    #[test]
    fn children_get_every_spelling() {
        let mut env = map(&[("http_proxy", "old"), ("OTHER", "x")]);
        let proxies = Proxies::new(&map(&[("HTTPS_PROXY", "http://p:1")]), &map(&[]), &["api"]);
        proxies.add_to(&mut env);
        let no = "localhost,127.0.0.1,::1,.svc,.cluster.local,api";
        let expected = map(&[
            ("HTTPS_PROXY", "http://p:1"),
            ("https_proxy", "http://p:1"),
            ("NO_PROXY", no),
            ("no_proxy", no),
            ("OTHER", "x"),
        ]);
        assert_eq!(env, expected);
    }
}

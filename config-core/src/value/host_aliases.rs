//! Host names for a pod's `/etc/hosts`, beside those of DNS.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use super::{EntryError, ListError, items};
use crate::kubernetes::Rule;

/// Names of hosts by address, `address=name,name` separated by `;`.
///
/// An address is one of IPv4 or IPv6, a name a DNS subdomain. Spaces around the parts are dropped, empty
/// items and names skipped. Each address occurs once and has at least one name.
///
/// ```
/// use config_core::value::HostAliases;
/// let aliases: HostAliases = "10.0.0.1=git.example.com, registry.example.com; FD00::0001=x".parse()?;
/// assert_eq!(aliases.to_string(), "10.0.0.1=git.example.com,registry.example.com;fd00::1=x");
/// let error = "git.example.com=10.0.0.1".parse::<HostAliases>().expect_err("the address comes first");
/// assert_eq!(
///     error.to_string(),
///     "entry \"git.example.com=10.0.0.1\": expected an IP address before the `=`, not \"git.example.com\"; the address \
///      comes first, then its names"
/// );
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAliases(Vec<HostAlias>);

/// One address and the names of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAlias {
    ip: IpAddr,
    names: Vec<String>,
}

impl HostAlias {
    /// Returns the address.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Returns the names; there is at least one.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl HostAliases {
    /// Iterates over the addresses in the order in which they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, HostAlias> {
        self.0.iter()
    }

    /// Returns whether the list has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a HostAliases {
    type Item = &'a HostAlias;
    type IntoIter = std::slice::Iter<'a, HostAlias>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for HostAliases {
    type Err = ListError;

    /// # Errors
    /// Every item without an address, with a name that is no DNS subdomain, without any name, or with the
    /// address of an earlier item.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut list: Vec<HostAlias> = Vec::new();
        let mut errors = Vec::new();
        for item in items(text) {
            match item.parse::<HostAlias>() {
                // Kubernetes merges this list by address, so a patch would lose the
                // second entry of an address.
                Ok(alias) if list.iter().any(|earlier| earlier.ip == alias.ip) => errors.push(
                    EntryError::new(
                        item,
                        format!("another address than {}, which an earlier item has", alias.ip),
                    )
                    .with_hint("write all names of an address into one item, separated by `,`"),
                ),
                Ok(alias) => list.push(alias),
                Err(error) => errors.push(error),
            }
        }
        ListError::into_result(errors, Self(list))
    }
}

impl FromStr for HostAlias {
    type Err = EntryError;

    /// # Errors
    /// [`EntryError`] with the whole item, and what was expected of the first part that is wrong.
    fn from_str(item: &str) -> Result<Self, EntryError> {
        let Some((ip, names)) = item.split_once('=') else {
            return Err(EntryError::new(item, "address=name,name"));
        };
        let ip = address(item, ip.trim(), names.trim())?;
        let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if let Some(wrong) = names.iter().find(|name| !Rule::DnsSubdomain.holds(name)) {
            let expected = format!("{} (the name is {wrong:?})", Rule::DnsSubdomain.expected());
            return Err(EntryError::new(item, expected));
        }
        if names.is_empty() {
            return Err(EntryError::new(item, "at least one name after the `=`"));
        }
        Ok(Self { ip, names: names.into_iter().map(str::to_owned).collect() })
    }
}

fn address(item: &str, text: &str, names: &str) -> Result<IpAddr, EntryError> {
    match text.parse() {
        // Programs disagree about this form, and newer Kubernetes rejects it:
        // https://www.kubernetes.dev/resources/keps/4858/
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => Err(mapped(item, ip)),
        Ok(ip) => Ok(ip),
        Err(_) => {
            let error = EntryError::new(item, format!("an IP address before the `=`, not {text:?}"));
            Err(if names.parse::<IpAddr>().is_ok() {
                error.with_hint("the address comes first, then its names")
            } else {
                error
            })
        }
    }
}

fn mapped(item: &str, ip: Ipv6Addr) -> EntryError {
    let error = EntryError::new(item, "no IPv4 address in the form of IPv6");
    match ip.to_ipv4_mapped() {
        Some(ip) => error.with_hint(format!("write {ip}")),
        None => error,
    }
}

impl fmt::Display for HostAliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, alias) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(";")?;
            }
            write!(f, "{alias}")?;
        }
        Ok(())
    }
}

impl fmt::Display for HostAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ip, names } = self;
        write!(f, "{ip}={}", names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_addresses_with_names() {
        let cases = [
            ("", ""),
            (" ; ;", ""),
            ("10.0.0.1=git.example.com", "10.0.0.1=git.example.com"),
            ("10.0.0.1=b,a,b;fd00::1=x", "10.0.0.1=b,a,b;fd00::1=x"),
            (" 10.0.0.1 = a ,, b , ; ; ::1=c;", "10.0.0.1=a,b;::1=c"),
            ("FD00:0:0:0:0:0:0:1=a", "fd00::1=a"),
        ];
        for (text, printed) in cases {
            let parsed = text.parse::<HostAliases>();
            assert_eq!(parsed.as_ref().map(ToString::to_string).as_deref(), Ok(printed), "{text:?}");
            assert_eq!(parsed.unwrap().is_empty(), printed.is_empty());
        }
    }

    #[test]
    fn iterates_in_written_order() {
        let list: HostAliases = "10.0.0.1=b,a;fd00::1=c".parse().unwrap();
        let mut shown = Vec::new();
        for alias in &list {
            shown.push((alias.ip().to_string(), alias.names().join(" ")));
        }
        assert_eq!(
            shown,
            [("10.0.0.1".to_owned(), "b a".to_owned()), ("fd00::1".to_owned(), "c".to_owned())]
        );
    }

    #[test]
    fn rejects_malformed_entries() {
        let name = Rule::DnsSubdomain.expected();
        let first = "the address comes first, then its names";
        let cases = [
            ("10.0.0.1", "entry \"10.0.0.1\": expected address=name,name".to_owned()),
            ("=a", "entry \"=a\": expected an IP address before the `=`, not \"\"".to_owned()),
            ("10.0.0.1=", "entry \"10.0.0.1=\": expected at least one name after the `=`".to_owned()),
            ("10.0.0.1= , ", "entry \"10.0.0.1= ,\": expected at least one name after the `=`".to_owned()),
            (
                "a=10.0.0.1",
                format!("entry \"a=10.0.0.1\": expected an IP address before the `=`, not \"a\"; {first}"),
            ),
            (
                "10.0.0.256=a",
                "entry \"10.0.0.256=a\": expected an IP address before the `=`, not \"10.0.0.256\""
                    .to_owned(),
            ),
            (
                "010.0.0.1=a",
                "entry \"010.0.0.1=a\": expected an IP address before the `=`, not \"010.0.0.1\"".to_owned(),
            ),
            (
                "fe80::1%eth0=a",
                "entry \"fe80::1%eth0=a\": expected an IP address before the `=`, not \"fe80::1%eth0\""
                    .to_owned(),
            ),
            (
                "::ffff:10.0.0.1=a",
                "entry \"::ffff:10.0.0.1=a\": expected no IPv4 address in the form of IPv6; write 10.0.0.1"
                    .to_owned(),
            ),
            (
                "10.0.0.1=a,B_c,D",
                format!("entry \"10.0.0.1=a,B_c,D\": expected {name} (the name is \"B_c\")"),
            ),
            ("10.0.0.1=a=b", format!("entry \"10.0.0.1=a=b\": expected {name} (the name is \"a=b\")")),
            (
                "fd00::1=a;FD00:0::1=b",
                "entry \"FD00:0::1=b\": expected another address than fd00::1, which an earlier item has; \
                 write all names of an address into one item, separated by `,`"
                    .to_owned(),
            ),
            (
                "x;10.0.0.1=a;y",
                "entry \"x\": expected address=name,name, entry \"y\": expected address=name,name".to_owned(),
            ),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<HostAliases>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in ".*|([0-9a-f.:]{0,9}=?[a-c,. -]{0,5};?){0,4}") {
            let _ = text.parse::<HostAliases>();
        }

        #[test]
        fn parses_what_it_prints(
            entries in prop::collection::btree_map(any::<IpAddr>(), prop::collection::vec("[a-z]{1,3}(\\.[a-z])?", 1..4), 0..4),
        ) {
            let list = entries
                .into_iter()
                .filter(|(ip, _)| !matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()))
                .map(|(ip, names)| HostAlias { ip, names })
                .collect();
            let aliases = HostAliases(list);
            prop_assert_eq!(aliases.to_string().parse::<HostAliases>(), Ok(aliases));
        }
    }
}

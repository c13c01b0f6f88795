//! The accepted and refused forms of the pod's security settings.

use proptest::prelude::*;

use super::*;

#[test]
fn parses_and_prints_pod_security() {
    let cases = [
        ("nothing", "", ""),
        (
            "every key",
            "supplementalGroups=5,4;seccompProfile=Unconfined;runAsUser=1;runAsNonRoot=true;runAsGroup=2;fsGroup=3",
            "fsGroup=3;runAsGroup=2;runAsNonRoot=true;runAsUser=1;seccompProfile=Unconfined;supplementalGroups=5,4",
        ),
        ("spaces and empty items", " ; fsGroup = 7 ;; ", "fsGroup=7"),
        ("a boolean in any case", "runAsNonRoot=FALSE", "runAsNonRoot=false"),
        ("the later one of two", "fsGroup=1;fsGroup=2", "fsGroup=2"),
        ("the largest id", "runAsUser=2147483647", "runAsUser=2147483647"),
        ("root by choice", "runAsUser=0;runAsNonRoot=false", "runAsNonRoot=false;runAsUser=0"),
        ("root alone", "runAsUser=0", "runAsUser=0"),
        ("a list inside an item", "supplementalGroups= 7 ,, 0,", "supplementalGroups=7,0"),
        ("the profile of the runtime", "seccompProfile= RuntimeDefault", "seccompProfile=RuntimeDefault"),
        (
            "a profile of the node",
            "seccompProfile=Localhost/profiles/a=b.json",
            "seccompProfile=Localhost/profiles/a=b.json",
        ),
    ];
    for (name, text, printed) in cases {
        assert_eq!(text.parse::<PodSecurity>().map(|s| s.to_string()).as_deref(), Ok(printed), "{name}");
    }
}

#[test]
fn user_0_alone_implies_root() {
    let non_root = |text: &str| text.parse::<PodSecurity>().unwrap().run_as_non_root();
    assert_eq!(non_root("runAsUser=0"), Some(false));
    assert_eq!(non_root("runAsUser=1"), None);
    assert_eq!(non_root("runAsNonRoot=true"), Some(true));
}

#[test]
fn accessors_return_each_setting() {
    let text = "supplementalGroups=5,4;seccompProfile=Localhost/a/b;runAsUser=1;runAsNonRoot=true;runAsGroup=2;fsGroup=3";
    let pod: PodSecurity = text.parse().unwrap();
    let ids = [pod.run_as_user(), pod.run_as_group(), pod.fs_group()];
    assert_eq!((ids, pod.run_as_non_root()), ([Some(1), Some(2), Some(3)], Some(true)));
    assert_eq!(pod.supplemental_groups(), Some(&[5, 4][..]));
    let profile = pod.seccomp_profile().unwrap();
    assert_eq!((profile.type_name(), profile.localhost_profile()), ("Localhost", Some("a/b")));
    assert_eq!(SeccompProfile::Unconfined.localhost_profile(), None);
    let unset = PodSecurity::default();
    assert_eq!([unset.run_as_user(), unset.run_as_group(), unset.fs_group()], [None; 3]);
    assert_eq!((unset.seccomp_profile(), unset.supplemental_groups()), (None, None));
    for flag in [true, false] {
        let text = format!("allowPrivilegeEscalation={flag};readOnlyRootFilesystem={}", !flag);
        let container: ContainerSecurity = text.parse().unwrap();
        assert_eq!(container.allow_privilege_escalation(), Some(flag));
        assert_eq!(container.read_only_root_filesystem(), Some(!flag));
    }
    let unset = ContainerSecurity::default();
    assert_eq!([unset.allow_privilege_escalation(), unset.read_only_root_filesystem()], [None; 2]);
}

#[test]
fn rejects_malformed_pod_security() {
    let keys = "one of fsGroup, runAsGroup, runAsNonRoot, runAsUser, seccompProfile, supplementalGroups";
    let cases = [
        ("no value", "fsGroup", "entry \"fsGroup\": expected key=value".to_owned()),
        (
            "unknown key",
            "privileged=true",
            format!("entry \"privileged=true\": expected {keys}, not \"privileged\""),
        ),
        (
            "key in another case",
            "fsgroup=1",
            format!("entry \"fsgroup=1\": expected {keys}, not \"fsgroup\"; did you mean \"fsGroup\"?"),
        ),
        (
            "text for a number",
            "runAsUser=me",
            "entry \"runAsUser=me\": expected a number from 0 to 2147483647, not \"me\"".to_owned(),
        ),
        (
            "number that is too large",
            "runAsGroup=2147483648",
            "entry \"runAsGroup=2147483648\": expected a number from 0 to 2147483647, not \"2147483648\""
                .to_owned(),
        ),
        (
            "negative number",
            "fsGroup=-1",
            "entry \"fsGroup=-1\": expected a number from 0 to 2147483647, not \"-1\"".to_owned(),
        ),
        (
            "no boolean",
            "runAsNonRoot=yes",
            "entry \"runAsNonRoot=yes\": expected true or false, not \"yes\"".to_owned(),
        ),
        (
            "root that may not be root",
            "runAsUser=0;runAsNonRoot=true",
            "entry \"runAsUser=0\": expected another user than 0 beside runAsNonRoot=true; write \
             runAsNonRoot=false to run as root"
                .to_owned(),
        ),
        (
            "every faulty item",
            "a;fsGroup=",
            "entry \"a\": expected key=value, entry \"fsGroup=\": expected a number from 0 to 2147483647, \
             not \"\""
                .to_owned(),
        ),
    ];
    for (name, text, message) in cases {
        assert_eq!(text.parse::<PodSecurity>().unwrap_err().to_string(), message, "{name}");
    }
}

#[test]
fn rejects_malformed_groups() {
    let cases = [
        ("", "at least one group"),
        (",", "at least one group"),
        ("1,x", "a number from 0 to 2147483647, not \"x\""),
        ("1 2", "a number from 0 to 2147483647, not \"1 2\""),
        ("2147483648", "a number from 0 to 2147483647, not \"2147483648\""),
    ];
    for (value, expected) in cases {
        let text = format!("supplementalGroups={value}");
        let message = format!("entry {text:?}: expected {expected}");
        assert_eq!(text.parse::<PodSecurity>().unwrap_err().to_string(), message);
    }
}

#[test]
fn rejects_malformed_seccomp_profiles() {
    let form = "RuntimeDefault, Unconfined or Localhost/<path>";
    let below = "write Localhost/ and the path of the profile below the kubelet's folder of profiles";
    let path = "a relative path without `..` after Localhost/";
    let cases = [
        ("", format!("{form}, not \"\"")),
        ("None", format!("{form}, not \"None\"")),
        ("runtimeDefault", format!("{form}, not \"runtimeDefault\"; did you mean \"RuntimeDefault\"?")),
        ("unconfined", format!("{form}, not \"unconfined\"; did you mean \"Unconfined\"?")),
        ("Unconfined/", format!("{form}, not \"Unconfined/\"; did you mean \"Unconfined\"?")),
        ("Localhost", format!("{form}, not \"Localhost\"; {below}")),
        ("localhost/a.json", format!("{form}, not \"localhost/a.json\"; {below}")),
        ("Localhost/", format!("{path}, not \"\"")),
        ("Localhost//a.json", format!("{path}, not \"/a.json\"")),
        ("Localhost/../a.json", format!("{path}, not \"../a.json\"")),
        ("Localhost/a/..", format!("{path}, not \"a/..\"")),
        ("Localhost/a\nb", format!("{path}, not \"a\\nb\"")),
    ];
    for (value, expected) in cases {
        let text = format!("seccompProfile={value}");
        let message = format!("entry {text:?}: expected {expected}");
        assert_eq!(text.parse::<PodSecurity>().unwrap_err().to_string(), message);
    }
}

fn id() -> impl Strategy<Value = Option<u32>> {
    prop::option::of(0..=MAX_ID)
}

proptest! {
    #[test]
    fn parses_any_text_without_panic(text in ".*|((fsGroup|runAsUser|runAsNonRoot)=(true|[0-9]{0,12});?){0,4}") {
        let _ = text.parse::<PodSecurity>();
    }

    #[test]
    fn prints_what_it_parses(
        ids in (id(), id(), prop::option::of(1..=MAX_ID)),
        run_as_non_root in any::<Option<bool>>(),
        seccomp_profile in prop::option::of(prop_oneof![
            Just(SeccompProfile::RuntimeDefault),
            Just(SeccompProfile::Unconfined),
            "[a-z.=]{1,3}(/[a-z=]{1,3})?".prop_filter("no \
             `..`", |path| !path.contains("..")).prop_map(SeccompProfile::Localhost),
        ]),
        supplemental_groups in prop::option::of(prop::collection::vec(0..=MAX_ID, 1..4)),
    ) {
        let (fs_group, run_as_group, run_as_user) = ids;
        let pod =
            PodSecurity {
                fs_group,
                run_as_group,
                run_as_non_root,
                run_as_user,
                seccomp_profile,
                supplemental_groups,
            };
        prop_assert_eq!(pod.to_string().parse::<PodSecurity>(), Ok(pod));
    }
}

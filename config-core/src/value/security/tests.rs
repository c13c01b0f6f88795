//! The accepted and refused forms of security settings.

use proptest::prelude::*;

use super::*;

#[test]
fn accepted_forms_of_the_pod_and_how_they_print() {
    let cases = [
        ("nothing", "", ""),
        (
            "every key",
            "runAsUser=1;runAsNonRoot=true;runAsGroup=2;fsGroup=3",
            "fsGroup=3;runAsGroup=2;runAsNonRoot=true;runAsUser=1",
        ),
        ("spaces and empty items", " ; fsGroup = 7 ;; ", "fsGroup=7"),
        ("a boolean in any case", "runAsNonRoot=FALSE", "runAsNonRoot=false"),
        ("the later one of two", "fsGroup=1;fsGroup=2", "fsGroup=2"),
        ("the largest id", "runAsUser=2147483647", "runAsUser=2147483647"),
        ("root by choice", "runAsUser=0;runAsNonRoot=false", "runAsNonRoot=false;runAsUser=0"),
        ("root alone", "runAsUser=0", "runAsUser=0"),
    ];
    for (name, text, printed) in cases {
        assert_eq!(text.parse::<PodSecurity>().map(|s| s.to_string()).as_deref(), Ok(printed), "{name}");
    }
}

#[test]
fn user_0_alone_means_that_root_is_wanted() {
    let non_root = |text: &str| text.parse::<PodSecurity>().unwrap().run_as_non_root();
    assert_eq!(non_root("runAsUser=0"), Some(false));
    assert_eq!(non_root("runAsUser=1"), None);
    assert_eq!(non_root("runAsNonRoot=true"), Some(true));
}

#[test]
fn refused_forms_of_the_pod_and_their_messages() {
    let keys = "one of fsGroup, runAsGroup, runAsNonRoot, runAsUser";
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
            "entry \"runAsGroup=2147483648\": expected a number from 0 to 2147483647, not \"2147483648\"".to_owned(),
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
            "entry \"runAsUser=0\": expected another user than 0 beside runAsNonRoot=true; write runAsNonRoot=false to \
             run as root"
                .to_owned(),
        ),
        (
            "every faulty item",
            "a;fsGroup=",
            "entry \"a\": expected key=value, entry \"fsGroup=\": expected a number from 0 to 2147483647, not \"\""
                .to_owned(),
        ),
    ];
    for (name, text, message) in cases {
        assert_eq!(text.parse::<PodSecurity>().unwrap_err().to_string(), message, "{name}");
    }
}

#[test]
fn forms_of_the_container() {
    let cases = [
        ("", ""),
        ("allowPrivilegeEscalation=True", "allowPrivilegeEscalation=true"),
        (
            "readOnlyRootFilesystem=true; allowPrivilegeEscalation=false",
            "allowPrivilegeEscalation=false;readOnlyRootFilesystem=true",
        ),
    ];
    for (text, printed) in cases {
        assert_eq!(text.parse::<ContainerSecurity>().map(|s| s.to_string()).as_deref(), Ok(printed));
    }
    let refused = [
        ("readOnlyRootFilesystem=1", "entry \"readOnlyRootFilesystem=1\": expected true or false, not \"1\""),
        (
            "readOnlyRootFileSystem=true",
            "entry \"readOnlyRootFileSystem=true\": expected one of allowPrivilegeEscalation, readOnlyRootFilesystem, not \
             \"readOnlyRootFileSystem\"; did you mean \"readOnlyRootFilesystem\"?",
        ),
    ];
    for (text, message) in refused {
        assert_eq!(text.parse::<ContainerSecurity>().unwrap_err().to_string(), message);
    }
}

fn id() -> impl Strategy<Value = Option<u32>> {
    prop::option::of(0..=LARGEST_ID)
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in ".*|((fsGroup|runAsUser|runAsNonRoot)=(true|[0-9]{0,12});?){0,4}") {
        let _ = text.parse::<PodSecurity>();
        let _ = text.parse::<ContainerSecurity>();
    }

    #[test]
    fn what_prints_reads_as_itself(
        ids in (id(), id(), prop::option::of(1..=LARGEST_ID)), flags in any::<[Option<bool>; 3]>(),
    ) {
        let (fs_group, run_as_group, run_as_user) = ids;
        let [run_as_non_root, allow_privilege_escalation, read_only_root_filesystem] = flags;
        let pod = PodSecurity { fs_group, run_as_group, run_as_non_root, run_as_user };
        prop_assert_eq!(pod.to_string().parse::<PodSecurity>(), Ok(pod));
        let container = ContainerSecurity { allow_privilege_escalation, read_only_root_filesystem };
        prop_assert_eq!(container.to_string().parse::<ContainerSecurity>(), Ok(container));
    }
}

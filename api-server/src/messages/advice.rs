//! What a user or an operator can do about a cause, in one sentence each.

use k8s_backend::{Cause, ConfigProblem, ImageProblem, Refuser, Waiting};

/// For a container that completed without claiming its attempt.
pub const NOT_AN_EXECUTOR: &str = "Check that the image (ExecutorEphemeralImage, EPHEMERAL_CONFIG_IMAGE) is \
                                   one of an executor that claims its attempt, \
                                   and look at what it changed before the next run.";

/// Returns what to do about the end of a Kubernetes Job; `None` where there is nothing to do.
#[must_use]
pub fn for_cause(cause: &Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::ExitCode(Some(_)) | Cause::ExitMessage { .. } | Cause::Signal(_) => {
            "Read the log of the step."
        }
        Cause::ExitCode(None) => {
            "Read the log of the step; to get exit codes and causes, allow this server to read pods."
        }
        Cause::InitContainer { .. } => "Correct the init container in the settings of the workspace.",
        Cause::OutOfMemory { .. } => {
            "Raise the memory limit of the executor in the settings of the workspace, or let terraform do \
             less at a time (-parallelism)."
        }
        Cause::DeadlineExceeded => "Allow the step more time (EPHEMERAL_CONFIG_DEADLINE), or split its work.",
        Cause::GivenUp { reason } => return for_refusal(reason),
        Cause::DeadlineBeforeStart { waiting } | Cause::CannotStart { waiting } => {
            return for_waiting(waiting);
        }
        Cause::NotStarted { .. } => {
            "Correct the image or the command of the executor; \
             deliver a payload that is too large in a Secret."
        }
        Cause::Evicted { resource: Some(_), .. } => {
            "Raise the limit of the executor for this resource, or use less of it."
        }
        Cause::Evicted { resource: None, .. } => "Run the job again; the node was drained.",
        Cause::Preempted { .. } => "Run the job again, or give executors a higher priority class.",
        Cause::NodeLost { .. } => "Run the job again when the nodes of the cluster are healthy.",
        Cause::Disrupted { .. } => {
            "Run the job again; to get the reason of the disruption, allow this server to read pods."
        }
        Cause::PodDeleted { .. } | Cause::Vanished => {
            "Find out which client deletes pods or Jobs in this namespace."
        }
        Cause::Lost { .. } => "Read the log of the step, and check what it changed.",
        _ => return None,
    })
}

/// Returns what to do about the end of an attempt, with the message that its executor has reported: that
/// says more than an exit code.
#[must_use]
pub fn for_attempt(cause: &Cause, reported: Option<&str>) -> Option<&'static str> {
    match (cause, reported) {
        (Cause::ExitCode(_), Some(message)) => for_report(message).or_else(|| for_cause(cause)),
        _ => for_cause(cause),
    }
}

/// The beginnings and ends of messages of the executor about its source, and what to do.
const SOURCES: &[(&str, &str)] = &[
    (
        "does not exist on the machine of the executor",
        "Correct the source of the workspace; on a cluster, a folder must be in the image or on a volume of \
         the executor.",
    ),
    ("is no branch, tag or commit of", "Correct the branch of the workspace, or push it."),
    ("of the workspace is not in the source", "Correct the folder of the workspace, or its branch."),
    (
        "of the workspace contains no terraform configuration",
        "Correct the folder of the workspace, or its branch.",
    ),
    (
        "the server refused access with",
        "Renew the credential of the workspace, or give it the right to read.",
    ),
    ("asks for a credential", "Connect the workspace to its version control system, or correct its source."),
    (
        "the server has no such repository",
        "Correct the source of the workspace, or the rights of its credential.",
    ),
    (
        "the server cannot be reached from the executor",
        "Check the address of the source, and DNS, network policies and proxies of the executor.",
    ),
    ("the certificate of the server is not trusted", "Give executors the certificate of your authority."),
    ("the source has changed since the plan", "Run the job again."),
];

fn for_report(message: &str) -> Option<&'static str> {
    let is_source = message.starts_with("could not fetch the source: ") || message.contains("since the plan");
    SOURCES.iter().find(|(part, _)| is_source && message.contains(part)).map(|(_, advice)| *advice)
}

/// Returns what to do about a call that the cluster has refused for now; `None` where its error says so
/// itself, or nothing is known.
#[must_use]
pub fn for_refusal(error: &str) -> Option<&'static str> {
    if error.contains("exceeded quota") {
        Some(for_refuser(Refuser::Quota))
    } else if error.contains("failed calling webhook") {
        Some("Repair the admission webhook that the message names, or ask its operator.")
    } else if error.contains("namespaces \"") && error.contains("not found") {
        Some("Create the namespace, or correct the setting ExecutorEphemeralNamespace.")
    } else {
        None
    }
}

/// Returns what to do about an error of a program whose disk is full; `None` if it is another error.
#[must_use]
pub fn for_full_disk(message: &str) -> Option<&'static str> {
    let text = message.to_ascii_lowercase();
    (text.contains("no space left on device") || text.contains("disk quota exceeded")).then_some(
        "Give the executor more ephemeral storage (limits and volumes in the settings of the workspace), or \
         free space on the disk of the machine.",
    )
}

/// Returns what to do about a Kubernetes Job that does not start; `None` where no problem is known.
#[must_use]
pub fn for_waiting(waiting: &Waiting) -> Option<&'static str> {
    Some(match waiting {
        Waiting::Suspended => "Resume the Kubernetes Job (spec.suspend).",
        Waiting::AwaitingAdmission { .. } => {
            "Wait for the queue, or check that it exists and has quota for what the executor requests."
        }
        Waiting::Gated { .. } => "Wait for the controller that set the scheduling gate, or remove the gate.",
        Waiting::NoPod => {
            "Read the events of the Kubernetes Job (kubectl describe job), \
             or allow this server to read events."
        }
        Waiting::NotCreated { by, .. } => for_refuser(*by),
        Waiting::Unschedulable { .. } => {
            "Request less CPU and memory, correct the node selector, tolerations or volume claim, \
             or add nodes."
        }
        Waiting::Setup { .. } => {
            "Create the volume, Secret or config map that the pod mounts, or correct its name."
        }
        Waiting::ImagePull { problem, .. } => for_image(*problem),
        Waiting::ConfigError { problem, .. } => for_config(*problem),
        Waiting::Other { .. } => "Read this message and the events of the pod (kubectl describe pod).",
        _ => return None,
    })
}

fn for_refuser(refuser: Refuser) -> &'static str {
    match refuser {
        Refuser::Quota => {
            "Wait until other pods have ended, request less, or raise the ResourceQuota of the namespace."
        }
        Refuser::PodSecurity => {
            "Change the security settings of the pod, or the Pod Security level of the namespace."
        }
        Refuser::ServiceAccount => {
            "Create the service account in the namespace, or correct its name in the \
             settings of the workspace."
        }
        Refuser::PriorityClass => {
            "Create the priority class, or correct its name in the settings of the workspace."
        }
        _ => "Change what the message names, or ask the operator of the admission rules of the cluster.",
    }
}

fn for_image(problem: ImageProblem) -> &'static str {
    match problem {
        ImageProblem::NotFound => "Correct the name or tag of the image, or push the image.",
        ImageProblem::Unauthorized => {
            "Give the pod an image pull secret that the registry accepts, or correct the name of the image."
        }
        ImageProblem::Unreachable => {
            "Check that the node can reach the registry: address, DNS, firewall, proxy."
        }
        ImageProblem::NeverPull => "Load the image onto the node, or allow it to be pulled.",
        ImageProblem::InvalidName => "Correct the name of the image.",
        _ => "Check the name of the image and the node's connection to the registry.",
    }
}

fn for_config(problem: ConfigProblem) -> &'static str {
    match problem {
        ConfigProblem::MissingSecret => {
            "Create the Secret in the namespace, or correct its name in the settings."
        }
        ConfigProblem::MissingConfigMap => {
            "Create the config map in the namespace, or correct its name in the settings."
        }
        ConfigProblem::MissingKey => {
            "Add the key to the Secret or config map, or correct its name in the settings."
        }
        ConfigProblem::RunsAsRoot => {
            "Set runAsUser to a user other than 0, or use an image that does not run as root."
        }
        _ => "Correct what the message names.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_about_a_source_follows_the_message_of_the_executor() {
        let exit = Cause::ExitCode(Some(10));
        let advice = |message| for_attempt(&exit, message);
        let missing = "could not fetch the source: source folder \"/x\" does not exist on the machine of the \
                       executor; correct the source of the workspace, or mount the folder into the pods of \
                       executors";
        assert!(advice(Some(missing)).unwrap().starts_with("Correct the source of the workspace"));
        let branch = "could not fetch the source: \"master\" is no branch, tag or commit of https://host/a.git; \
                      the nearest names are \"main\" (1 branch, 0 tags)";
        assert_eq!(advice(Some(branch)), Some("Correct the branch of the workspace, or push it."));
        assert_eq!(advice(Some("terraform plan failed with exit code 1")), Some("Read the log of the step."));
        assert_eq!(advice(None), Some("Read the log of the step."));
    }
}

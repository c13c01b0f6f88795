//! The command lines of terraform and tofu, which are the same.

use std::{ffi::OsString, path::Path};

use job_spec::StepType;

/// The parts of the payload and settings that shape the command lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) step: StepType,
    pub(crate) refresh: bool,
    pub(crate) refresh_only: bool,
    pub(crate) color: bool,
}

/// Returns the arguments of `init`.
pub(crate) fn init_args(options: Options) -> Vec<OsString> {
    let mut args = vec!["init".into(), "-input=false".into()];
    add_color(&mut args, options);
    args
}

/// Returns the arguments of the terraform command of the step; `None` for steps without one.
///
/// A plan step writes `plan_file`; an apply with `reviewed` applies exactly that file.
pub(crate) fn step_args(options: Options, plan_file: &Path, reviewed: bool) -> Option<Vec<OsString>> {
    let mut args: Vec<OsString> = Vec::new();
    match options.step {
        StepType::TerraformPlan | StepType::TerraformPlanDestroy => {
            let mut out = OsString::from("-out=");
            out.push(plan_file);
            args.extend(["plan".into(), "-input=false".into(), "-detailed-exitcode".into(), out]);
            if !options.refresh {
                args.push("-refresh=false".into());
            }
            if options.refresh_only {
                args.push("-refresh-only".into());
            }
            if options.step == StepType::TerraformPlanDestroy {
                args.push("-destroy".into());
            }
        }
        StepType::TerraformApply if reviewed => args.extend(["apply".into(), "-input=false".into()]),
        StepType::TerraformApply => {
            args.extend(["apply".into(), "-input=false".into(), "-auto-approve".into()]);
        }
        StepType::TerraformDestroy => {
            args.extend(["destroy".into(), "-input=false".into(), "-auto-approve".into()]);
        }
        StepType::CustomScripts | StepType::Approval => return None,
    }
    add_color(&mut args, options);
    if options.step == StepType::TerraformApply && reviewed {
        args.push(plan_file.into());
    }
    Some(args)
}

fn add_color(args: &mut Vec<OsString>, options: Options) {
    // Terraform colours its output even into a pipe; logs are shown with colours.
    if !options.color {
        args.push("-no-color".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_command_line_of_each_step() {
        use StepType::{
            Approval, CustomScripts, TerraformApply, TerraformDestroy, TerraformPlan, TerraformPlanDestroy,
        };
        let plain = |step| Options { step, refresh: true, refresh_only: false, color: true };
        let cases = [
            (plain(TerraformPlan), false, "plan -input=false -detailed-exitcode -out=/w/plan"),
            (
                Options { refresh: false, refresh_only: true, color: false, ..plain(TerraformPlan) },
                false,
                "plan -input=false -detailed-exitcode -out=/w/plan -refresh=false -refresh-only -no-color",
            ),
            (
                plain(TerraformPlanDestroy),
                false,
                "plan -input=false -detailed-exitcode -out=/w/plan -destroy",
            ),
            (plain(TerraformApply), true, "apply -input=false /w/plan"),
            (Options { color: false, ..plain(TerraformApply) }, true, "apply -input=false -no-color /w/plan"),
            (plain(TerraformApply), false, "apply -input=false -auto-approve"),
            (plain(TerraformDestroy), false, "destroy -input=false -auto-approve"),
        ];
        for (options, reviewed, expected) in cases {
            let args = step_args(options, Path::new("/w/plan"), reviewed).unwrap();
            let line: Vec<_> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
            assert_eq!(line.join(" "), expected);
        }
        for step in [CustomScripts, Approval] {
            assert_eq!(step_args(plain(step), Path::new("/w/plan"), false), None);
        }
        let init = init_args(Options { color: false, ..plain(TerraformPlan) });
        assert_eq!(init, ["init", "-input=false", "-no-color"]);
    }
}

//! Flows that are accepted, and every problem of those that are not.

use job_spec::CommandRuntime;

use super::*;

fn problems(text: &str) -> Vec<String> {
    parse(text).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn sorts_steps_by_number() {
    let steps = parse(
        "flow:\n- {type: terraformApply, name: Apply, step: 200}\n- {type: approval, step: 150}\n\
         - {type: terraformPlan, name: Plan, step: 100}\n",
    )
    .unwrap();
    let read: Vec<_> = steps.iter().map(|step| (step.number, step.name.as_str(), step.step_type)).collect();
    assert_eq!(
        read,
        [
            (100, "Plan", StepType::TerraformPlan),
            (150, "Running Step150", StepType::Approval),
            (200, "Apply", StepType::TerraformApply)
        ]
    );
    assert!(steps.iter().all(|step| step.settings == StepSettings::default()));
}

const COMPLETE: &str = r#"
flow:
  - type: terraformPlan
    step: 100
    name: Plan
    ignoreError: false
    inputsEnv: { AWS_REGION: $REGION, OWN: "$$TWICE" }
    inputsTerraform: { size: $SIZE }
    importComands:
      repository: https://git.example.com/extensions.git
      branch: main
      folder: /checks
      inputsEnv: { AWS_REGION: $REGION_OF_IMPORT }
    commands:
      - { runtime: GROOVY, priority: 200, after: true, script: "println 1" }
      - runtime: BASH
        priority: 100
        before: true
        verbose: true
        beforeInit: false
        script: |
          echo one
    onFailure:
      - { runtime: BASH, script: "echo failed" }
  - type: approval
    step: 150
    name: Gate
    team: OPS
    commands:
      - { runtime: BASH, script: "echo approved" }
    onReject:
      - { runtime: BASH, script: "echo rejected" }
  - { type: customScripts, step: 180, commands: [ { runtime: BASH, script: "true" } ] }
  - { type: terraformDestroy, step: 200, ignoreError: null, commands: null }
"#;

#[test]
fn reads_every_key_of_the_language() {
    let steps = parse(COMPLETE).unwrap();
    let read: Vec<_> = steps.iter().map(|step| (step.number, step.name.as_str(), step.step_type)).collect();
    assert_eq!(
        read,
        [
            (100, "Plan", StepType::TerraformPlan),
            (150, "Gate", StepType::Approval),
            (151, "Gate: scripts", StepType::CustomScripts),
            (152, "Gate: scripts after the rejection", StepType::CustomScripts),
            (180, "Running Step180", StepType::CustomScripts),
            (200, "Running Step200", StepType::TerraformDestroy),
        ]
    );
    let plan = &steps[0].settings;
    assert_eq!(plan.inputs_env["AWS_REGION"], "REGION_OF_IMPORT");
    assert_eq!((plan.inputs_env["OWN"].as_str(), plan.inputs_terraform["size"].as_str()), ("TWICE", "SIZE"));
    assert_eq!(plan.import_commands.as_ref().unwrap().folder, "/checks");
    assert_eq!(plan.commands[0].runtime, CommandRuntime::Groovy);
    assert_eq!((plan.commands[1].priority, plan.commands[1].script.as_str()), (100, "echo one\n"));
    assert!(plan.commands[1].before && plan.commands[1].verbose && !plan.commands[1].before_init);
    assert_eq!(plan.on_failure.len(), 1);
    assert_eq!(steps[1].settings.team.as_deref(), Some("OPS"));
    assert!(steps[1].settings.commands.is_empty());
    assert_eq!(steps[3].settings.on_reject_of, Some(150));
    assert_eq!(steps[3].settings.commands[0].script, "echo rejected");
    assert_eq!(steps[5].settings, StepSettings::default());
}

#[test]
fn warns_of_what_does_not_do_what_it_seems_to() {
    let text = "flow:\n- {type: approval, step: 1, team: OPS}\n- {type: terraformApply, step: 4, \
                ignoreError: true, commands: [{runtime: BASH, script: x}]}\n- {type: terraformPlan, step: 5, \
                ignoreError: true}\n";
    let paths: Vec<_> = warnings(text).into_iter().map(|warning| warning.path).collect();
    assert_eq!(paths, ["flow[0].team", "flow[1].ignoreError", "flow[1].commands[0]"]);
}

#[test]
fn reports_every_problem_with_its_path() {
    let found = problems(
        "flow:\n- {type: plan, step: 2, nmae: x}\n- {type: approval, step: 1}\n- {type: terraformPlan, step: \
         1, commands: [{runtime: PYTHON, priority: high, script: ''}], ignoreError: 1}\n- {type: \
         terraformApply, step: -1, onReject: 3, inputsEnv: {A: $}}\n- 7\nflows: x\n",
    );
    assert_eq!(
        found,
        [
            "flows: expected no such key; the keys are flow",
            "flow[0].nmae: expected no such key; the keys are type, step, name, team, ignoreError, commands, \
             onFailure, onReject, inputsEnv, inputsTerraform, importComands",
            "flow[0].type: found \"plan\", expected one of terraformPlan, terraformPlanDestroy, \
             terraformApply, terraformDestroy, customScripts, approval",
            "flow[2].commands[0].runtime: found \"PYTHON\", expected BASH or GROOVY",
            "flow[2].commands[0].script: found \"\", expected the text of a script",
            "flow[2].commands[0].priority: found \"high\", expected a whole number",
            "flow[2].ignoreError: found \"1\", expected true or false",
            "flow[3].step: found \"-1\", expected a whole number from 0 to 4294967295",
            "flow[3].inputsEnv.A: found \"$\", expected the name of a global variable, such as $NAME",
            "flow[3].onReject: found \"3\", expected a list of scripts",
            "flow[4]: found \"7\", expected an object with the keys type and step",
            "flow[2].step: found \"1\", expected a number that no other step has",
        ]
    );
}

#[test]
fn rejects_text_that_is_no_flow() {
    for text in ["", "flow: []", "flow: 3", "steps: []", "flow:\n- {type: approval}", "{", "- a", "flow"] {
        let error = parse(text).unwrap_err();
        assert!(error.problems.iter().all(|problem| !problem.to_string().contains('\n')), "{error}");
    }
}

#[test]
fn says_why_keys_and_types_of_other_systems_are_refused() {
    for (text, expected) in [
        ("- {type: scheduleTemplates, step: 1, templates: []}", "this server does not have"),
        ("- {type: disableWorkspace, step: 1}", "this server has no such records"),
        (
            "- {type: customScripts, step: 1, importCommands: {repository: 'https://x/y', vcsId: a}}",
            "no connections to version control",
        ),
        (
            "- {type: customScripts, step: 1, importComands: {repository: /etc}}",
            "address of a public repository",
        ),
        ("- {type: terraformPlan, step: 1, onReject: [{runtime: BASH, script: x}]}", "only an approval"),
        (
            "- {type: approval, step: 1, commands: [{runtime: BASH, script: x}]}\n- {type: terraformPlan, \
             step: 2}\n\
             - {type: terraformPlan, step: 3}",
            "after which 2 is free",
        ),
    ] {
        let found = problems(&format!("flow:\n{text}\n")).join("\n");
        assert!(found.contains(expected), "{found}");
    }
}

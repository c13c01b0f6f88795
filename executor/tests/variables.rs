//! Values of variables reach the real terraform unchanged, and take precedence over the files of the source.

use std::collections::{BTreeMap, BTreeSet};

use job_spec::{StepType, attempt_api::StepOutcome};
use serde_json::{Value, json};

use crate::support::{Bench, engine, have};

/// Texts that quoting, word splitting or templates could change. (Terraform composes Unicode characters, so
/// none is written in parts.)
const SPECIAL_TEXTS: &[&str] = &[
    "",
    " ",
    "  two  spaces  ",
    "it's",
    "''",
    "'\\''",
    "\"quoted\"",
    "back\\slash \\n \\\\ \\' end\\",
    "line one\nline two\r\n\ttabbed\n",
    "$HOME ${HOME} $$ $(id) `id`",
    "%{ if true }x%{ endif } ${upper(\"x\")}",
    "; & | < > ( ) { } [ ] * ? ! # ~ ^ % =",
    "-var=other=1",
    "--help",
    "a=b=c",
    "[1, 2]",
    "null",
    "{\"json\": [\"it's\"]}",
    "gruß ∑ 日本語 🦀",
    "\u{7f}\u{1b}[31mred\u{1b}[0m",
];

fn configuration(types: &[(String, &str)]) -> String {
    let one = |(name, kind): &(String, &str)| {
        format!("variable {name:?} {{\n  type = {kind}\n}}\noutput {name:?} {{\n  value = var.{name}\n}}\n")
    };
    types.iter().map(one).collect::<Vec<_>>().concat()
}

fn outputs(bench: &Bench) -> BTreeMap<String, Value> {
    let mut state = bench.server.with(|memory| memory.state_json());
    let all: BTreeMap<String, Value> = serde_json::from_value(state["outputs"].take()).unwrap();
    all.into_iter().map(|(name, mut output)| (name, output["value"].take())).collect()
}

#[tokio::test]
async fn special_texts_arrive_unchanged_with_and_without_plan() {
    if !have("terraform") {
        return;
    }
    let names: Vec<String> = (0..SPECIAL_TEXTS.len()).map(|number| format!("v{number}")).collect();
    let types: Vec<_> = names.iter().map(|name| (name.clone(), "string")).collect();
    let expected: BTreeMap<String, Value> =
        names.iter().cloned().zip(SPECIAL_TEXTS.iter().map(|text| json!(text))).collect();
    for with_plan in [true, false] {
        let mut bench = Bench::new(&configuration(&types)).await;
        bench.payload.variables =
            names.iter().cloned().zip(SPECIAL_TEXTS.iter().map(|text| (*text).to_owned())).collect();
        bench.server.with(|memory| memory.plan_expected = with_plan);
        if with_plan {
            let exit = bench.run(StepType::TerraformPlan).await;
            assert_eq!(exit.code, Some(0), "{exit:#?}");
        }
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        assert_eq!(outputs(&bench), expected);
    }
}

#[tokio::test]
async fn values_have_the_declared_type_and_override_files_of_the_source() {
    if !have("terraform") {
        return;
    }
    let cases = [
        ("text", "string", "[1, 2]", json!("[1, 2]")),
        ("number", "number", "3.5", json!(3.5)),
        ("flag", "bool", "true", json!(true)),
        ("list", "list(string)", "[\"it's\", \"b\\nc\"]", json!(["it's", "b\nc"])),
        ("map", "map(number)", "{ a = 1, \"b c\" = 2 }", json!({"a": 1, "b c": 2})),
    ];
    let types: Vec<_> = cases.iter().map(|(name, kind, ..)| ((*name).to_owned(), *kind)).collect();
    let mut bench = Bench::new(&configuration(&types)).await;
    bench.write("terraform.tfvars", "text = \"weak\"\nnumber = 1\n");
    bench.write("z.auto.tfvars", "text = \"also overridden\"\nlist = [\"weak\"]\n");
    bench.payload.environment_variables.insert("TF_VAR_text".into(), "weakest".into());
    bench
        .payload
        .environment_variables
        .insert("TF_CLI_ARGS_apply".into(), "-var='text=weaker' -parallelism=2".into());
    for (name, _, value, _) in &cases {
        bench.payload.variables.insert((*name).into(), (*value).into());
    }
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let expected: BTreeMap<String, Value> =
        cases.iter().map(|(name, _, _, expected)| ((*name).to_owned(), expected.clone())).collect();
    assert_eq!(outputs(&bench), expected);
    let exit = bench.run(StepType::TerraformDestroy).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
}

/// Which variables of the payload are expressions.
fn mark(bench: &mut Bench, names: &[&str]) {
    bench.payload.hcl_variables = Some(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn hcl_decides_whether_a_value_is_text_or_an_expression_whatever_the_type_is() {
    if !have("terraform") {
        return;
    }
    let cases = [
        ("zip", "any", "0042", false, json!("0042")),
        ("untyped", "any", "[1, 2]", false, json!("[1, 2]")),
        ("text_true", "any", "true", false, json!("true")),
        ("text_null", "any", "null", false, json!("null")),
        ("text_template", "any", "${x} %{ if }", false, json!("${x} %{ if }")),
        ("amount", "number", "42", false, json!(42)),
        ("flag", "bool", "true", false, json!(true)),
        ("string", "string", "\"a\"", false, json!("\"a\"")),
        ("expression", "string", "\"a\"", true, json!("a")),
        ("number", "any", "0042", true, json!(42)),
        ("sizes", "list(number)", "[\n  1, # one\n  2,\n]", true, json!([1, 2])),
        ("heredoc", "string", "<<-EOT\n  it's \"quoted\"\n  EOT\n", true, json!("it's \"quoted\"\n")),
        ("object", "object({ a = string })", "{ a = \"}\" }", true, json!({"a": "}"})),
        ("list_as_text", "list(string)", "[\"a\"]", false, json!(["a"])),
    ];
    let types: Vec<_> = cases.iter().map(|(name, kind, ..)| ((*name).to_owned(), *kind)).collect();
    let mut bench = Bench::new(&configuration(&types)).await;
    bench.write("z.auto.tfvars", "zip = 1\n");
    for (name, _, value, ..) in &cases {
        bench.payload.variables.insert((*name).into(), (*value).into());
    }
    let marked: Vec<_> = cases.iter().filter(|case| case.3).map(|case| case.0).collect();
    mark(&mut bench, &marked);
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let expected: BTreeMap<String, Value> =
        cases.iter().map(|(name, .., expected)| ((*name).to_owned(), expected.clone())).collect();
    assert_eq!(outputs(&bench), expected);
}

#[tokio::test]
async fn expression_that_is_not_closed_is_named_without_its_value() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("variable \"a\" {}\nvariable \"b\" { default = 1 }\n").await;
    bench.payload.variables.insert("a".into(), "1)\nb = (\"planted\"".into());
    mark(&mut bench, &["a"]);
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(10));
    let message = bench.server.result().message.unwrap();
    assert_eq!(
        message,
        "cannot use the variables of the workspace: terraform variable \"a\" is no expression in the \
         language of terraform (it is marked as hcl): a closing bracket has no opening one"
    );
}

#[tokio::test]
async fn undeclared_variables_are_warnings_in_plan_apply_and_destroy() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    bench.payload.variables.insert("stranger".into(), "a value".into());
    bench.payload.variables.insert("list_of_strangers".into(), "[1]".into());
    bench.payload.variables.insert("no identifier".into(), "x".into());
    mark(&mut bench, &["list_of_strangers"]);
    for step in [
        StepType::TerraformPlan,
        StepType::TerraformPlanDestroy,
        StepType::TerraformApply,
        StepType::TerraformDestroy,
    ] {
        let exit = bench.run(step).await;
        let log = bench.server.log();
        assert_eq!(exit.code, Some(0), "{step}: {log}");
        assert!(log.contains("Value for undeclared variable") && log.contains("stranger"), "{step}: {log}");
        assert!(log.contains("terraform variable \"no identifier\" is not used"), "{step}: {log}");
    }
}

#[tokio::test]
async fn ephemeral_variables_are_supplied_again_with_the_reviewed_plan() {
    if !have("terraform") {
        return;
    }
    if engine() == "tofu" {
        eprintln!("SKIPPED: tofu 1.10 knows no ephemeral variables");
        return;
    }
    let text = "variable \"token\" {\n  type      = string\n  ephemeral = true\n}\n\
                variable \"scopes\" {\n  type = list(string)\n  ephemeral = true\n}\n\
                variable \"plain\" {\n  type = string\n}\n\
                resource \"terraform_data\" \"one\" {\n  input = var.plain\n}\n";
    let mut bench = Bench::new(text).await;
    for (name, value) in [("token", "ephemeral-1"), ("scopes", "[\"a\"]"), ("plain", "p"), ("other", "o")] {
        bench.payload.variables.insert(name.into(), value.into());
    }
    mark(&mut bench, &["scopes"]);
    bench.server.with(|memory| memory.plan_expected = true);
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0), "{}", bench.server.log());
    // What was approved is applied: a new value of an ordinary variable has no effect.
    bench.payload.variables.insert("plain".into(), "changed".into());
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(0), "{}", bench.server.log());
    let state = bench.server.with(|memory| memory.state_json());
    assert!(state.to_string().contains("\"p\"") && !state.to_string().contains("changed"), "{state}");
}

#[tokio::test]
async fn large_and_many_variables_pass_by_private_files_that_are_removed() {
    if !have("terraform") {
        return;
    }
    let text = "variable \"large\" {\n  type = string\n}\nvariable \"many\" {\n  type = map(string)\n}\n\
        resource \"terraform_data\" \"one\" {\n  provisioner \"local-exec\" {\n    command = \"ls -la .. .; \
        tr '\\\\0' ' ' < /proc/$PPID/cmdline; env | cut -c -300\"\n  }\n}\n\
        output \"size\" {\n  value = length(var.large)\n}\noutput \"many\" {\n  \
        value = length(var.many)\n}\n";
    let mut bench = Bench::new(text).await;
    bench.payload_at_claim = true;
    bench.payload.variables.insert("large".into(), "needle ".repeat(100_000));
    let many: Vec<_> = (0..5_000).map(|number| format!("key_{number} = \"value {number}\"\n")).collect();
    let many = many.concat();
    bench.payload.variables.insert("many".into(), format!("{{\n{many}}}"));
    for number in 0..2_000 {
        bench.payload.variables.insert(format!("unused_{number}"), "x".into());
    }
    mark(&mut bench, &["many"]);
    let exit = bench.run(StepType::TerraformApply).await;
    let log = bench.server.log();
    assert_eq!(exit.code, Some(0), "{log}");
    assert_eq!(
        outputs(&bench),
        BTreeMap::from([("size".into(), json!(700_000)), ("many".into(), json!(5_000))])
    );
    assert!(log.contains(&format!("{} apply -input=false -auto-approve", engine())), "{log}");
    assert!(!log.contains("needle"), "a value is on the command line or in the environment");
    for file in ["variables.tfvars.json", "expressions.tfvars"] {
        let line = log.lines().find(|line| line.contains(file) && line.contains("-rw")).unwrap_or_default();
        assert!(line.contains("-rw-------"), "{file}: {line:?} in {log}");
    }
    assert_eq!(bench.left_behind(), Vec::<String>::new());
    assert_eq!(bench.server.result().outcome, StepOutcome::Completed);
}

//! Values of variables reach the real terraform unchanged, and take precedence over the files of the source.

use std::collections::BTreeMap;

use job_spec::StepType;
use serde_json::{Value, json};

use crate::support::{Bench, have};

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

//! With recorded output of Terraform 1.11, and with the lines of OpenTofu and of later versions that differ.

use super::*;

fn read(log: &str) -> Vec<Change> {
    let mut reader = LogReader::default();
    // Pieces end anywhere.
    for piece in log.as_bytes().chunks(7) {
        reader.push(piece);
    }
    reader.finish().changes
}

fn state(resources: &serde_json::Value) -> SavedState {
    let text = serde_json::json!({ "version": 4, "serial": 1, "lineage": "l", "resources": resources });
    SavedState::parse(text.to_string().as_bytes()).unwrap()
}

/// Compares what a complete log says, without a plan.
fn missing(changes: &[Change], state: Option<&SavedState>) -> Vec<Missing> {
    super::missing(&Observed { changes, log_is_complete: true, ..Observed::default() }, state)
}

fn summary(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change| {
        let id = change.id.as_deref().map_or("-", |id| &id[..id.len().min(4)]);
        format!("{} {:?} {} {id}", change.address, change.action, change.complete)
    };
    changes.iter().map(line).collect()
}

#[test]
fn reads_recorded_apply_with_modules_keys_and_colors() {
    let changes = read(include_str!("fixtures/terraform-first-apply.log"));
    let mut found = summary(&changes);
    found.sort();
    assert_eq!(
        found,
        [
            "module.net[\"eu\"].terraform_data.subnet[0] Created true 629e",
            "module.net[\"us.1\"].terraform_data.subnet[0] Created true d777",
            "terraform_data.counted[0] Created true c559",
            "terraform_data.counted[1] Created true 4324",
            "terraform_data.each[\"$${y}\"] Created true f985",
            "terraform_data.each[\"a b\"] Created true 9be3",
            "terraform_data.each[\"x\\\"q\"] Created true 195b",
            "terraform_data.each[\"z\"] Created true c7bd",
            "terraform_data.gone[0] Created true a4af",
            "terraform_data.plain Created true 688b",
            "terraform_data.replaced Created true 3b05",
            "terraform_data.replaced2 Created true 8189",
            "terraform_data.slow Created true e8c3",
            "terraform_data.updated Created true 17af",
        ],
        "the output of a provisioner that imitates such a line is none"
    );
}

#[test]
fn reads_recorded_apply_that_was_killed() {
    let changes = read(include_str!("fixtures/terraform-killed-apply.log"));
    assert_eq!(
        summary(&changes),
        [
            "terraform_data.gone[0] Destroyed true a4af",
            "terraform_data.replaced2 Replaced true e13a",
            "terraform_data.broken[0] Created false -",
            "terraform_data.hangs[0] Created false -",
            "terraform_data.updated Updated true 17af",
            "terraform_data.replaced Replaced true 9b6a",
        ]
    );
    assert_eq!(changes[1].replaced_id.as_deref(), Some("81897a6c-717a-bfcf-5d16-44918fbfee0c"));
}

#[test]
fn recorded_state_of_a_killed_apply_is_compared_with_its_log() {
    let changes = read(include_str!("fixtures/terraform-killed-apply.log"));
    let state = SavedState::parse(include_bytes!("fixtures/terraform-killed-apply-state.json")).unwrap();
    assert_eq!(missing(&changes, Some(&state)), [], "terraform saves before provisioners run");
    // The state from before that apply, as it would be if terraform had saved nothing.
    let before = SavedState::parse(include_bytes!("fixtures/terraform-first-apply-state.json")).unwrap();
    let missing = missing(&changes, Some(&before));
    let found: Vec<_> = missing.iter().map(|it| (it.address.as_str(), it.action, it.complete)).collect();
    assert_eq!(
        found,
        [
            ("terraform_data.gone[0]", ChangeAction::Destroyed, true),
            ("terraform_data.replaced2", ChangeAction::Replaced, true),
            ("terraform_data.broken[0]", ChangeAction::Created, false),
            ("terraform_data.hangs[0]", ChangeAction::Created, false),
            ("terraform_data.replaced", ChangeAction::Replaced, true),
        ]
    );
}

#[test]
fn every_address_of_a_recorded_state_is_found_in_the_log() {
    let changes = read(include_str!("fixtures/terraform-first-apply.log"));
    let state = SavedState::parse(include_bytes!("fixtures/terraform-first-apply-state.json")).unwrap();
    assert_eq!(missing(&changes, Some(&state)), []);
}

#[test]
fn created_resource_without_state_comes_with_its_import_block() {
    let changes = read(
        "aws_sqs_queue.q: Creating...\n\
         aws_sqs_queue.q: Still creating... [10s elapsed]\n\
         aws_sqs_queue.q: Still creating... [00m20s elapsed]\n\
         aws_sqs_queue.q: Creation complete after 25s [id=https://sqs.eu.example.com/1/q${x}]\n\
         module.a[\"k\"].aws_s3_bucket.b[1]: Creating...\n",
    );
    let missing = missing(&changes, None);
    assert_eq!(
        import_blocks(&missing),
        "import {\n  to = aws_sqs_queue.q\n  id = \"https://sqs.eu.example.com/1/q$${x}\"\n}\n\
         \n\
         import {\n  # its creation had begun; terraform printed no id\n  \
         to = module.a[\"k\"].aws_s3_bucket.b[1]\n  id = \"REPLACE-WITH-THE-ID\"\n}\n"
    );
    assert!(missing[0].complete && !missing[1].complete);
}

#[test]
fn masked_id_is_not_offered_for_import() {
    let changes = read("aws_x.y: Creation complete after 1s [id=arn:***:queue]\n");
    let blocks = import_blocks(&missing(&changes, None));
    assert!(blocks.contains("masked") && blocks.contains(UNKNOWN_ID), "{blocks}");
}

#[test]
fn replacement_that_the_state_does_not_show_names_both() {
    let old = serde_json::json!([{ "mode": "managed", "type": "aws_x", "name": "y",
        "instances": [{ "attributes": { "id": "old" } }] }]);
    let first_new = "aws_x.y: Creating...\naws_x.y: Creation complete after 1s [id=new]\n\
                     aws_x.y (deposed object 45ce2fe1): Destroying... [id=old]\n\
                     aws_x.y: Destruction complete after 0s\n";
    let first_old = "aws_x.y: Destroying... [id=old]\naws_x.y: Destruction complete after 0s\n\
                     aws_x.y: Creating...\naws_x.y: Creation complete after 1s [id=new]\n";
    for log in [first_new, first_old] {
        let missing = missing(&read(log), Some(&state(&old)));
        assert_eq!((missing.len(), missing[0].action), (1, ChangeAction::Replaced), "{log}");
        assert!(missing[0].advice.contains("terraform state rm 'aws_x.y'"), "{}", missing[0].advice);
        assert!(missing[0].import_block.as_ref().unwrap().contains("\"new\""));
    }
}

#[test]
fn destroyed_resource_that_the_state_shows_is_listed_without_import() {
    let kept = serde_json::json!([{ "mode": "managed", "type": "aws_x", "name": "y", "module": "module.m",
        "instances": [{ "index_key": "a", "attributes": { "id": "i-1" } }] }]);
    let log = "module.m.aws_x.y[\"a\"]: Destroying... [id=i-1]\n\
               module.m.aws_x.y[\"a\"]: Destruction complete after 2s\n";
    let found = missing(&read(log), Some(&state(&kept)));
    assert_eq!((found.len(), &found[0].import_block), (1, &None));
    assert_eq!(missing(&read(log), None), [], "no state shows it");
}

#[test]
fn states_that_cannot_be_compared_say_so() {
    for (text, error) in [
        (
            r#"{"serial":1,"lineage":"l","encrypted_data":"x","encryption_version":"v0"}"#,
            SavedStateError::Encrypted,
        ),
        (r#"{"version":3}"#, SavedStateError::Malformed),
        ("no JSON", SavedStateError::Malformed),
    ] {
        assert_eq!(SavedState::parse(text.as_bytes()).unwrap_err(), error);
    }
}

#[test]
fn keeps_the_last_lines_without_colors_and_bounded() {
    let mut reader = LogReader::default();
    for number in 0..100 {
        reader.push(format!("\u{1b}[1mline {number}\u{1b}[0m\r\n").as_bytes());
    }
    reader.push("x".repeat(100_000).as_bytes());
    let lines = reader.finish().last_lines;
    assert_eq!((lines.len(), lines[0].as_str()), (40, "line 61"));
    assert!(lines[39].chars().count() == 501, "{}", lines[39].len());
}

const PLAN: &str = "
  # aws_sqs_queue.q[\"1\"] will be created
  + resource \"aws_sqs_queue\" \"q\" {
      + delay_seconds = 0
      + name          = \"w-1\"
      + url           = (known after apply)
    }

  # aws_s3_bucket.b must be replaced
+/- resource \"aws_s3_bucket\" \"b\" {
      ~ bucket = \"old\" -> \"new\" # forces replacement
      ~ id     = \"old\" -> (known after apply)
    }
";

fn plan() -> Vec<Planned> {
    let mut reader = LogReader::default();
    reader.push(PLAN.as_bytes());
    reader.finish().planned
}

fn bucket(id: &str) -> serde_json::Value {
    serde_json::json!([{ "mode": "managed", "type": "aws_s3_bucket", "name": "b",
        "instances": [{ "attributes": { "id": id } }] }])
}

#[test]
fn creation_without_an_id_names_what_the_plan_knew() {
    let changes = read("aws_sqs_queue.q[\"1\"]: Creating...\n");
    let planned = plan();
    let observed =
        Observed { changes: &changes, planned: &planned, log_is_complete: true, ..Observed::default() };
    let found = super::missing(&observed, None);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].planned.get("name").map(String::as_str), Some("w-1"));
    assert!(
        found[0].advice.contains("at the provider (the plan says name = \"w-1\")"),
        "{}",
        found[0].advice
    );
    let block = found[0].import_block.as_deref().unwrap();
    assert!(block.contains("# its creation had begun; terraform printed no id; planned: name = \"w-1\"\n"));
}

#[test]
fn lost_end_of_a_log_is_filled_from_the_plan() {
    let planned = plan();
    let mut observed = Observed { planned: &planned, ..Observed::default() };
    let saved = state(&bucket("old"));
    let found = super::missing(&observed, Some(&saved));
    let texts: Vec<_> = found.iter().map(|it| (it.address.as_str(), it.action, it.source)).collect();
    assert_eq!(
        texts,
        [
            ("aws_sqs_queue.q[\"1\"]", ChangeAction::Created, Source::Plan),
            ("aws_s3_bucket.b", ChangeAction::Replaced, Source::Plan),
        ]
    );
    assert_eq!(found[1].replaced_id.as_deref(), Some("old"));
    assert!(found[1].advice.contains("old one (old) and the new one (the plan says bucket = \"new\")"));
    let found = super::missing(&observed, Some(&state(&bucket("new"))));
    assert_eq!(found.len(), 1, "the state has the new bucket: {found:#?}");
    observed.log_is_complete = true;
    assert_eq!(super::missing(&observed, Some(&saved)), [], "nothing had begun");
}

#[test]
fn rescued_state_gives_ids_and_resources_that_no_line_names() {
    let rescued = state(&serde_json::json!([
        { "mode": "managed", "type": "aws_sqs_queue", "name": "q",
          "instances": [{ "index_key": "1", "attributes": { "id": "https://sqs/w-1" } }] },
        { "mode": "managed", "type": "aws_s3_bucket", "name": "b",
          "instances": [{ "attributes": { "id": "new" } }] },
        { "mode": "managed", "type": "aws_iam_user", "name": "u",
          "instances": [{ "attributes": { "id": "u" } }] },
    ]));
    let (changes, planned) = (read("aws_sqs_queue.q[\"1\"]: Creating...\n"), plan());
    let observed =
        Observed { changes: &changes, planned: &planned, log_is_complete: false, rescued: Some(&rescued) };
    let found = super::missing(&observed, Some(&state(&bucket("old"))));
    let texts: Vec<_> =
        found.iter().map(|it| (it.address.as_str(), it.action, it.id.as_deref().unwrap())).collect();
    assert_eq!(
        texts,
        [
            ("aws_sqs_queue.q[\"1\"]", ChangeAction::Created, "https://sqs/w-1"),
            ("aws_iam_user.u", ChangeAction::Created, "u"),
            ("aws_s3_bucket.b", ChangeAction::Replaced, "new"),
        ]
    );
    assert!(found.iter().all(|it| it.complete && it.source == Source::RescuedState));
    assert_eq!(super::missing(&observed, Some(&rescued)), [], "it was stored");
}

#[test]
fn begun_replacement_that_creates_first_is_found_by_the_plan() {
    let planned = plan();
    let saved = state(&bucket("old"));
    for (log, advice) in [
        ("aws_s3_bucket.b: Creating...\n", "Its replacement had begun"),
        (
            "aws_s3_bucket.b: Creating...\naws_s3_bucket.b: Creation complete after 1s [id=new]\n",
            "the one that it was to replace (old)",
        ),
    ] {
        let changes = read(log);
        let observed =
            Observed { changes: &changes, planned: &planned, log_is_complete: true, ..Observed::default() };
        let found = super::missing(&observed, Some(&saved));
        assert_eq!((found.len(), found[0].action), (1, ChangeAction::Replaced), "{log}");
        assert!(found[0].advice.contains(advice), "{}", found[0].advice);
    }
    let without_plan = missing(&read("aws_s3_bucket.b: Creating...\n"), Some(&saved));
    assert_eq!(without_plan, [], "its provisioners may be running");
}

#[test]
fn import_that_the_state_does_not_show_keeps_its_block() {
    let changes = read("aws_s3_bucket.b: Importing... [id=new]\naws_s3_bucket.b: Import complete [id=new]\n");
    let found = missing(&changes, None);
    assert_eq!((found.len(), found[0].action), (1, ChangeAction::Imported));
    assert!(found[0].import_block.as_ref().unwrap().contains("\"new\""));
    assert_eq!(missing(&changes, Some(&state(&bucket("new")))), []);
}

#[test]
fn imported_resource_is_named_until_it_is_destroyed() {
    let imported = "aws_s3_bucket.b: Import complete [id=a]\naws_s3_bucket.b: Destroying... [id=a]\n";
    let found = missing(&read(imported), None);
    assert_eq!((found[0].action, found[0].id.as_deref()), (ChangeAction::Imported, Some("a")));
    let destroyed = format!("{imported}aws_s3_bucket.b: Destruction complete after 1s\n");
    assert_eq!(missing(&read(&destroyed), None), []);
    let found = missing(&read(&format!("{destroyed}aws_s3_bucket.b: Creating...\n")), None);
    assert_eq!((found[0].action, &found[0].id), (ChangeAction::Replaced, &None));
}

//! Reads the keys of a flow, with every problem.

use std::collections::BTreeMap;

use job_spec::{Command, CommandRuntime, ImportCommands, StepType};
use serde_json::{Map, Value};

use super::TemplateProblem;
use crate::model::StepSettings;

/// The keys that a step may have.
const FLOW_KEYS: [&str; 11] = [
    "type",
    "step",
    "name",
    "team",
    "ignoreError",
    "commands",
    "onFailure",
    "onReject",
    "inputsEnv",
    "inputsTerraform",
    "importComands",
];

/// The keys that a script may have.
const COMMAND_KEYS: [&str; 7] = ["runtime", "script", "priority", "before", "after", "beforeInit", "verbose"];

/// The keys that an import may have.
const IMPORT_KEYS: [&str; 5] = ["repository", "branch", "folder", "inputsEnv", "inputsTerraform"];

/// One step as the template has it.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) path: String,
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) step_type: StepType,
    pub(super) settings: StepSettings,
    pub(super) on_reject: Vec<Command>,
}

/// Reads the steps of a template. Those with problems in their type or number are left out.
pub(super) fn flows(text: &str) -> (Vec<Flow>, Vec<TemplateProblem>) {
    let mut reader = Reader { problems: Vec::new() };
    let root = match serde_saphyr::from_str::<Value>(text) {
        Ok(root) => root,
        Err(error) => {
            let error = error.to_string();
            // The further lines show a part of the text.
            let line = error.lines().next().unwrap_or_default().trim();
            let problem = TemplateProblem::new("tcl", None, "a text in YAML").with_hint(line);
            return (Vec::new(), vec![problem]);
        }
    };
    let Some(root) = reader.object("tcl", &root, "an object with the key flow") else {
        return (Vec::new(), reader.problems);
    };
    reader.unknown_keys("", root, &["flow"]);
    let flows = match root.get("flow") {
        Some(Value::Array(flows)) if !flows.is_empty() => flows
            .iter()
            .enumerate()
            .filter_map(|(index, flow)| reader.flow(&format!("flow[{index}]"), flow))
            .collect(),
        found => {
            reader.problem("flow", found, "a list with at least one step");
            Vec::new()
        }
    };
    (flows, reader.problems)
}

struct Reader {
    problems: Vec<TemplateProblem>,
}

impl Reader {
    fn problem(&mut self, path: &str, found: Option<&Value>, expected: &str) {
        self.problems.push(TemplateProblem::new(path, found.map(shown), expected));
    }

    fn flow(&mut self, path: &str, value: &Value) -> Option<Flow> {
        let flow = self.object(path, value, "an object with the keys type and step")?;
        let key = |key: &str| format!("{path}.{key}");
        self.unknown_keys(path, flow, &FLOW_KEYS);
        let step_type = self.step_type(&key("type"), flow.get("type"));
        let number = flow.get("step").and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.problem(&key("step"), flow.get("step"), "a whole number from 0 to 4294967295");
        }
        let name = self.text(&key("name"), flow.get("name"));
        let mut settings = StepSettings {
            commands: self.commands(&key("commands"), flow.get("commands")),
            on_failure: self.commands(&key("onFailure"), flow.get("onFailure")),
            ignore_error: self.flag(&key("ignoreError"), flow.get("ignoreError")),
            team: self.text(&key("team"), flow.get("team")).filter(|team| !team.is_empty()),
            ..StepSettings::default()
        };
        for import in ["importComands", "importCommands"] {
            self.import(&key(import), flow.get(import), &mut settings);
        }
        // Those of an import are stronger.
        let inputs = self.inputs(&key("inputsEnv"), flow.get("inputsEnv"));
        add_missing(&mut settings.inputs_env, inputs);
        let inputs = self.inputs(&key("inputsTerraform"), flow.get("inputsTerraform"));
        add_missing(&mut settings.inputs_terraform, inputs);
        let on_reject = self.commands(&key("onReject"), flow.get("onReject"));
        let (step_type, number) = (step_type?, number?);
        if !on_reject.is_empty() && step_type != StepType::Approval {
            self.problem(&key("onReject"), None, "no scripts, because only an approval can be rejected");
        }
        let name = name.unwrap_or_else(|| format!("Running Step{number}"));
        Some(Flow { path: path.to_owned(), number, name, step_type, settings, on_reject })
    }

    fn step_type(&mut self, path: &str, value: Option<&Value>) -> Option<StepType> {
        let found = value.and_then(Value::as_str);
        let known = StepType::ALL.into_iter().find(|known| Some(known.as_str()) == found);
        if known.is_none() {
            let names = StepType::ALL.map(StepType::as_str).join(", ");
            let mut problem = TemplateProblem::new(path, value.map(shown), format!("one of {names}"));
            if let Some(type_of_api @ ("disableWorkspace" | "scheduleTemplates")) = found {
                problem = problem.with_hint(format!(
                    "{type_of_api} changes records of Terrakube's API and runs nothing; this server has no \
                     such records"
                ));
            }
            self.problems.push(problem);
        }
        known
    }

    fn commands(&mut self, path: &str, value: Option<&Value>) -> Vec<Command> {
        match value {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(commands)) => commands
                .iter()
                .enumerate()
                .filter_map(|(index, command)| self.command(&format!("{path}[{index}]"), command))
                .collect(),
            found => {
                self.problem(path, found, "a list of scripts");
                Vec::new()
            }
        }
    }

    fn command(&mut self, path: &str, value: &Value) -> Option<Command> {
        let command = self.object(path, value, "an object with the keys runtime and script")?;
        let key = |key: &str| format!("{path}.{key}");
        self.unknown_keys(path, command, &COMMAND_KEYS);
        let runtime = match command.get("runtime").and_then(Value::as_str) {
            Some("BASH") => Some(CommandRuntime::Bash),
            Some("GROOVY") => Some(CommandRuntime::Groovy),
            _ => {
                self.problem(&key("runtime"), command.get("runtime"), "BASH or GROOVY");
                None
            }
        };
        let script = self.text(&key("script"), command.get("script"));
        if script.as_deref().is_none_or(|script| script.trim().is_empty()) {
            self.problem(&key("script"), command.get("script"), "the text of a script");
        }
        let priority = match command.get("priority") {
            None | Some(Value::Null) => 0,
            found => found.and_then(Value::as_i64).unwrap_or_else(|| {
                self.problem(&key("priority"), found, "a whole number");
                0
            }),
        };
        Some(Command {
            runtime: runtime?,
            script: script?,
            priority,
            before: self.flag(&key("before"), command.get("before")),
            after: self.flag(&key("after"), command.get("after")),
            verbose: self.flag(&key("verbose"), command.get("verbose")),
            before_init: self.flag(&key("beforeInit"), command.get("beforeInit")),
        })
    }

    /// Reads an import, whose key Terrakube spells in two ways.
    fn import(&mut self, path: &str, value: Option<&Value>, settings: &mut StepSettings) {
        let Some(value) = value.filter(|value| !value.is_null()) else { return };
        let Some(import) = self.object(path, value, "an object with the key repository") else { return };
        let key = |key: &str| format!("{path}.{key}");
        self.unknown_keys(path, import, &IMPORT_KEYS);
        let repository = self.text(&key("repository"), import.get("repository")).unwrap_or_default();
        if !["https://", "http://", "git://"].iter().any(|scheme| repository.starts_with(scheme)) {
            let found = import.get("repository");
            self.problem(&key("repository"), found, "the address of a public repository, such as https://…");
        }
        settings.import_commands = Some(ImportCommands {
            repository,
            branch: self.text(&key("branch"), import.get("branch")).unwrap_or_default(),
            folder: self.text(&key("folder"), import.get("folder")).unwrap_or_default(),
        });
        settings.inputs_env = self.inputs(&key("inputsEnv"), import.get("inputsEnv"));
        settings.inputs_terraform = self.inputs(&key("inputsTerraform"), import.get("inputsTerraform"));
    }

    /// Reads the names of global variables: `KEY: $NAME`.
    fn inputs(&mut self, path: &str, value: Option<&Value>) -> BTreeMap<String, String> {
        let Some(value) = value.filter(|value| !value.is_null()) else { return BTreeMap::new() };
        let expected = "an object of names and global variables, such as KEY: $NAME";
        let Some(inputs) = self.object(path, value, expected) else { return BTreeMap::new() };
        let mut names = BTreeMap::new();
        for (key, value) in inputs {
            let name = value.as_str().unwrap_or_default().replace('$', "");
            if name.is_empty() {
                let expected = "the name of a global variable, such as $NAME";
                self.problem(&format!("{path}.{key}"), Some(value), expected);
            } else {
                names.insert(key.clone(), name);
            }
        }
        names
    }

    fn object<'v>(&mut self, path: &str, value: &'v Value, expected: &str) -> Option<&'v Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.problem(path, Some(value), expected);
        }
        object
    }

    /// Reads a text. A number or bool without quotes is the text that it was written as.
    fn text(&mut self, path: &str, value: Option<&Value>) -> Option<String> {
        match value? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            found => {
                self.problem(path, Some(found), "a text");
                None
            }
        }
    }

    fn flag(&mut self, path: &str, value: Option<&Value>) -> bool {
        match value {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            found => {
                self.problem(path, found, "true or false");
                false
            }
        }
    }

    fn unknown_keys(&mut self, path: &str, object: &Map<String, Value>, known: &[&str]) {
        let is_import = |key: &str| key == "importCommands" && known.contains(&"importComands");
        for key in object.keys().filter(|key| !known.contains(&key.as_str()) && !is_import(key)) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let expected = format!("no such key; the keys are {}", known.join(", "));
            let mut problem = TemplateProblem::new(path, None, expected);
            match key.as_str() {
                "templates" => {
                    problem =
                        problem.with_hint("it belongs to scheduleTemplates, which this server does not have");
                }
                "vcsId" => {
                    let hint = "this server has no connections to version control; use a public repository, \
                                or write the scripts into commands";
                    problem = problem.with_hint(hint);
                }
                _ => {}
            }
            self.problems.push(problem);
        }
    }
}

fn add_missing(inputs: &mut BTreeMap<String, String>, weaker: BTreeMap<String, String>) {
    for (key, name) in weaker {
        inputs.entry(key).or_insert(name);
    }
}

/// Returns a value as users wrote it, shortened.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(60).collect(),
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(_) => "an object".to_owned(),
        value => value.to_string(),
    }
}

//! Which tools a request offers to the model, or tells it to use.

use std::sync::Arc;

use portcullis_policies::policy::Tools;

use crate::json::Json;
use crate::verdict::{Code, Refusal};

/// Where requests name tools: lists of them, and the choice of one.
const LISTS: [&str; 2] = ["tools", "functions"];
const CHOICES: [&str; 2] = ["tool_choice", "function_call"];

/// Holds the tools of a request to what is allowed.
///
/// # Errors
/// `policy.field_denied` for a tool that is not, and for one whose name cannot be found.
pub(super) fn check(json: &Json<'_>, allowed: &[Arc<Tools>]) -> Result<(), Refusal> {
    if allowed.is_empty() {
        return Ok(());
    }
    for field in LISTS {
        match json.get_folded(field) {
            None | Some(Json::Null) => {}
            Some(Json::Array(tools)) => tools.iter().try_for_each(|tool| offered(tool, allowed))?,
            Some(_) => return Err(denied("the tools are no list")),
        }
    }
    for field in CHOICES {
        match json.get_folded(field) {
            Some(choice @ Json::Object(_)) => chosen(choice, allowed)?,
            // `auto`, `none` and `required` choose among what is offered.
            _ => continue,
        }
    }
    Ok(())
}

fn offered(tool: &Json<'_>, allowed: &[Arc<Tools>]) -> Result<(), Refusal> {
    let names = named(tool);
    // A tool that the server brings along has a type and no name.
    let names =
        if names.is_empty() { tool.get_folded("type").and_then(Json::as_str).into_iter().collect() } else { names };
    judge(&names, allowed)
}

fn chosen(choice: &Json<'_>, allowed: &[Arc<Tools>]) -> Result<(), Refusal> {
    // The Responses dialect chooses among some of the tools by a list of its own.
    if let Some(tools) =
        choice.get_folded("tools").or_else(|| choice.get_folded("allowed_tools").and_then(|a| a.get_folded("tools")))
    {
        return tools.as_array().unwrap_or_default().iter().try_for_each(|tool| offered(tool, allowed));
    }
    let names = named(choice);
    if names.is_empty() { Ok(()) } else { judge(&names, allowed) }
}

/// Every name that a reader could take for the tool's: all must be allowed.
fn named<'j>(tool: &'j Json<'_>) -> Vec<&'j str> {
    let inner = [tool.get_folded("function"), tool.get_folded("custom")].into_iter().flatten();
    inner.chain([tool]).filter_map(|holder| holder.get_folded("name").and_then(Json::as_str)).collect()
}

fn judge(names: &[&str], allowed: &[Arc<Tools>]) -> Result<(), Refusal> {
    if names.is_empty() {
        return Err(denied("a tool without a name is not let through"));
    }
    let fine = names.iter().all(|name| allowed.iter().all(|tools| tools.allow(name)));
    if fine { Ok(()) } else { Err(denied("a tool that the request offers is not granted to you")) }
}

fn denied(message: &'static str) -> Refusal {
    Refusal::new("policy", Code::PolicyFieldDenied, message).with_detail("tools of the rule that allows the request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_policies::glob::Glob;

    fn fine(text: &str, tools: &Tools) -> bool {
        check(&Json::parse(text.as_bytes()).unwrap(), &[Arc::new(tools.clone())]).is_ok()
    }

    #[test]
    fn tools_are_named_in_every_dialect() {
        let some = Tools::Allow(vec![Glob::new("get_*")]);
        for (text, by_glob, by_deny) in [
            (r#"{}"#, true, true),
            (r#"{"tools":[]}"#, true, true),
            (r#"{"tools":null,"tool_choice":"auto"}"#, true, true),
            (r#"{"tools":[{"type":"function","function":{"name":"get_time"}}]}"#, true, false),
            (r#"{"tools":[{"type":"function","function":{"name":"exec"}}]}"#, false, false),
            (r#"{"tools":[{"name":"get_time","input_schema":{}}]}"#, true, false),
            (r#"{"tools":[{"name":"exec","input_schema":{}}]}"#, false, false),
            (r#"{"tools":[{"name":"get_time","function":{"name":"exec"}}]}"#, false, false),
            (r#"{"tools":[{"type":"code_interpreter"}]}"#, false, false),
            (r#"{"tools":[{}]}"#, false, false),
            (r#"{"tools":["get_time"]}"#, false, false),
            (r#"{"tools":{"name":"get_time"}}"#, false, false),
            (r#"{"tools":[{"type":"function","name":"get_x","Function":{"Name":"exec"}}]}"#, false, false),
            (r#"{"tools":[{"type":"function","FUNCTION":{"Name":"get_x"}}]}"#, true, false),
            (r#"{"functions":[{"name":"exec"}]}"#, false, false),
            (r#"{"functions":[{"name":"get_time"}]}"#, true, false),
            (r#"{"tool_choice":{"type":"function","function":{"name":"exec"}}}"#, false, false),
            (r#"{"tool_choice":{"type":"tool","name":"exec"}}"#, false, false),
            (r#"{"tool_choice":{"type":"auto"}}"#, true, true),
            (r#"{"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"exec"}]}}"#, false, false),
            (r#"{"function_call":{"name":"exec"}}"#, false, false),
        ] {
            assert_eq!(fine(text, &some), by_glob, "{text}");
            assert_eq!(fine(text, &Tools::Deny), by_deny, "{text}");
        }
        assert!(check(&Json::parse(br#"{"tools":[{}]}"#).unwrap(), &[]).is_ok(), "nothing is said of tools");
    }
}

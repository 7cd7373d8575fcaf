//! Values in places where one client reads them and another does not.

use super::*;

/// What clients read under one key must not be made whole, or hidden, by what stands under another.
#[test]
fn decoys_and_odd_forms_do_not_leave() {
    let filter = filter(vec![]);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let (good, bad) = ("{\"n\":1}", "{\"n\":\"EVIL\"}");
    let form = json!({"type": "json_schema", "json_schema": {"schema": schema}});
    let chat = json!({"response_format": form});
    let native = json!({"prompt": "p", "json_schema": schema});
    let responses = json!({"text": {"format": {"type": "json_schema", "schema": schema}}});
    let ollama = json!({"model": "m", "format": schema});
    let (openai, llama) = ("/v1/chat/completions", "/completion");
    for (kind, path, body, answer) in [
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"response": good, "choices": [{"message": {"content": {"n": "EVIL"}}}]}),
        ),
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"response": good, "Choices": [{"message": {"content": "EVIL"}}]}),
        ),
        (UpstreamKind::LlamaCpp, llama, &native, json!({"type": "x", "content": bad, "response": good})),
        (UpstreamKind::OpenAi, "/v1/responses", &responses, json!({"output": [], "output_text": bad})),
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"choices": [{"message": {"content": [{"type": "text", "text": good}, "EVIL"]}}]}),
        ),
        (UpstreamKind::Ollama, "/api/chat", &ollama, json!({"done_reason": "load", "Message": {"content": "EVIL"}})),
        (
            UpstreamKind::LlamaCpp,
            openai,
            &chat,
            json!({"choices": [{"index": 0, "message": {"content": "{\"n\":1,\"x\":"}}, {"index": 0, "message": {"content": "2}"}}]}),
        ),
        (
            UpstreamKind::LlamaCpp,
            llama,
            &native,
            json!([{"index": 0, "content": "{\"n\":1,\"x\":"}, {"index": 1, "content": "2}"}]),
        ),
    ] {
        let begun = Exchange::begin(&filter, kind, path, body).unwrap();
        assert_eq!(begun.whole(&filter, &answer), Err(Code::SchemaResponse), "{answer}");
    }
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, llama, &native).unwrap();
    assert!(begun.whole(&filter, &json!([{"index": 0, "content": good}, {"index": 1, "content": good}])).is_ok());
    assert_eq!(begun.answer(&filter, None, true, &[]).1.unwrap_err().code, Code::SchemaResponse, "nothing at all");
    // Of a stream, neither.
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, openai, &chat).unwrap();
    let frames = [
        json!({"choices": [{"index": 0, "text": "{\"n\":1,\"x\":"}]}),
        json!({"choices": [{"index": 0, "delta": {"content": bad}}]}),
        json!({"choices": [{"index": 0, "text": "}"}]}),
    ]
    .map(|frame| format!("data: {frame}\n\n"));
    let (left, said) = begun.answer(&filter, Some(StreamFormat::Sse), true, &frames.each_ref().map(String::as_str));
    assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse));
}

#[test]
fn calls_in_any_form_must_be_offered() {
    let filter = filter(vec![]);
    let parameters = json!({"type": "object", "additionalProperties": false});
    let tool = json!([{"type": "function", "name": "rm", "function": {"name": "rm", "parameters": parameters}, "parameters": parameters}]);
    let offer = json!({"model": "m", "tools": tool});
    let call = json!({"function": {"name": "EVIL", "arguments": {}}});
    for (kind, path, answer) in [
        (UpstreamKind::Ollama, "/api/chat", json!({"message": {"content": "ok", "Tool_Calls": [call]}})),
        (UpstreamKind::Ollama, "/api/chat", json!({"Message": {"tool_calls": [call]}})),
        (UpstreamKind::OpenAi, "/v1/chat/completions", json!({"choices": [{"message": {"tool_calls": call}}]})),
        (UpstreamKind::OpenAi, "/v1/chat/completions", json!({"choices": [{"tool_calls": [call]}]})),
        (UpstreamKind::OpenAi, "/v1/chat/completions", json!({"tool_calls": [call]})),
        (
            UpstreamKind::OpenAi,
            "/v1/responses",
            json!({"output": [{"type": "Function_call", "name": "EVIL", "arguments": "{}"}]}),
        ),
        (
            UpstreamKind::OpenAi,
            "/v1/responses",
            json!({"output": [{"type": "custom_tool_call", "name": "EVIL", "input": "x"}]}),
        ),
        (UpstreamKind::OpenAi, "/v1/responses", json!({"output": [{"type": "local_shell_call", "action": {}}]})),
        (
            UpstreamKind::OpenAi,
            "/v1/messages",
            json!({"type": "Message", "content": [{"type": "tool_use", "name": "EVIL", "input": {}}]}),
        ),
        (
            UpstreamKind::OpenAi,
            "/v1/messages",
            json!({"type": "message", "content": [{"type": "computer_use", "name": "rm"}]}),
        ),
    ] {
        let begun = Exchange::begin(&filter, kind, path, &offer).unwrap();
        assert_eq!(begun.whole(&filter, &answer), Err(Code::SchemaResponse), "{answer}");
    }
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &offer).unwrap();
    let event = |event: Value| format!("data: {event}\n\n");
    let added = event(
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": "rm", "arguments": ""}}),
    );
    let done =
        event(json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"EVIL\":1}"}));
    let (left, said) = begun.answer(&filter, Some(StreamFormat::Sse), true, &[&added, &done]);
    assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse));
    // Some servers number every call the same.
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/chat/completions", &offer).unwrap();
    let one = event(
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "rm", "arguments": "{}"}}]}}]}),
    );
    assert!(begun.answer(&filter, Some(StreamFormat::Sse), true, &[&one, &one]).1.is_ok());
    let none = json!({"tools": []});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/chat/completions", &none).unwrap();
    assert_eq!(begun.answer(&filter, Some(StreamFormat::Sse), true, &[&one]).1.unwrap_err().code, Code::SchemaResponse);
}

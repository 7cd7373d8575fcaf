//! Pieces that the gate counts and a client does not, or the other way round.

use super::*;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

fn schema() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false})
}

/// A request that asks for a value of that schema, in the words of its route.
fn wanted(path: &str) -> (UpstreamKind, Value) {
    let form = json!({"type": "json_schema", "name": "x", "schema": schema()});
    match path {
        "/api/chat" | "/api/generate" => (UpstreamKind::Ollama, json!({"model": "m", "format": schema()})),
        CHAT => (UpstreamKind::OpenAi, json!({"response_format": {"type": "json_schema", "json_schema": form}})),
        RESPONSES => (UpstreamKind::OpenAi, json!({"text": {"format": form}})),
        _ => (UpstreamKind::OpenAi, json!({"output_config": {"format": form}})),
    }
}

/// A request that offers the tool `f`, which takes such a value.
fn offered(path: &str) -> (UpstreamKind, Value) {
    let tool = match path {
        MESSAGES => json!({"name": "f", "input_schema": schema()}),
        RESPONSES => json!({"type": "function", "name": "f", "parameters": schema()}),
        _ => json!({"type": "function", "function": {"name": "f", "parameters": schema()}}),
    };
    (UpstreamKind::OpenAi, json!({"model": "m", "tools": [tool]}))
}

/// What is said of the events of a stream, each with a name of its own, if it has one.
fn streamed(path: &str, (kind, body): &(UpstreamKind, Value), events: &[(&str, Value)]) -> Result<(), Code> {
    let filter = filter(vec![]);
    let begun = Exchange::begin(&filter, *kind, path, body).unwrap();
    let ollama = *kind == UpstreamKind::Ollama;
    let write = |(name, event): &(&str, Value)| match *name {
        _ if ollama => format!("{event}\n"),
        "" => format!("data: {event}\n\n"),
        name => format!("event: {name}\ndata: {event}\n\n"),
    };
    let frames: Vec<String> = events.iter().map(write).collect();
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    let format = if ollama { StreamFormat::Ndjson } else { StreamFormat::Sse };
    let (left, said) = begun.answer(&filter, Some(format), true, &frames);
    assert!(said.is_ok() || !left.concat().contains("EVIL"), "{left:?}");
    said.map_err(|no| no.code)
}

fn plain(events: Vec<Value>) -> Vec<(&'static str, Value)> {
    events.into_iter().map(|event| ("", event)).collect()
}

fn whole(path: &str, (kind, body): &(UpstreamKind, Value), answer: &Value) -> Result<(), Code> {
    let filter = filter(vec![]);
    Exchange::begin(&filter, *kind, path, body).unwrap().whole(&filter, answer).map(drop)
}

/// Clients add lists and objects to texts, and take them for values.
#[test]
fn a_text_that_is_none_does_not_leave() {
    let fine = json!({"index": 0, "text": "{\"n\":1"});
    for odd in [json!([",\"EVIL\":1"]), json!({"EVIL": 1}), json!(7), json!(true)] {
        let choices = |text: &Value| json!({"choices": [{"index": 0, "text": text}]});
        let events = plain(vec![json!({"choices": [fine]}), choices(&odd), choices(&json!("}"))]);
        assert_eq!(streamed(CHAT, &wanted(CHAT), &events), Err(Code::SchemaResponse), "{odd}");
        let line = |text: &Value| json!({"response": text});
        let events = plain(vec![line(&json!("{\"n\":1")), line(&odd), line(&json!("}"))]);
        assert_eq!(streamed("/api/generate", &wanted("/api/generate"), &events), Err(Code::SchemaResponse), "{odd}");
        let delta = |text: &Value| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text});
        let events = plain(vec![delta(&json!("{\"n\":1")), delta(&odd), delta(&json!("}"))]);
        assert_eq!(streamed(RESPONSES, &wanted(RESPONSES), &events), Err(Code::SchemaResponse), "{odd}");
        let start = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}});
        let delta = |text: &Value| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}});
        let events = plain(vec![start, delta(&json!("{\"n\":1")), delta(&odd), delta(&json!("}"))]);
        assert_eq!(streamed(MESSAGES, &offered(MESSAGES), &events), Err(Code::SchemaResponse), "{odd}");
    }
    for (path, answer) in [
        ("/api/chat", json!({"response": {"n": "EVIL"}, "message": {"content": "{\"n\":1}"}})),
        (CHAT, json!({"done_reason": "load", "choices": [{"index": 0, "text": ["EVIL"]}]})),
        (CHAT, json!({"done_reason": "load", "answer": "EVIL"})),
        (CHAT, json!({"response": "{\"n\":1}", "choices": [{"index": 0, "message": ["EVIL"]}]})),
    ] {
        assert_eq!(whole(path, &wanted(path), &answer), Err(Code::SchemaResponse), "{answer}");
    }
}

#[test]
fn arguments_that_are_a_value_are_judged() {
    let offer = json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false}}]});
    let asked = (UpstreamKind::OpenAi, offer);
    for (arguments, fits) in
        [(json!({"n": 1}), true), (json!("{\"n\":1}"), true), (json!({"EVIL": 1}), false), (json!([1]), false)]
    {
        let item = json!({"type": "function_call", "name": "f", "arguments": arguments});
        let said = if fits { Ok(()) } else { Err(Code::SchemaResponse) };
        assert_eq!(whole(RESPONSES, &asked, &json!({"output": [item]})), said, "{arguments}");
        for kind in ["response.output_item.added", "response.output_item.done"] {
            let events = plain(vec![json!({"type": kind, "output_index": 0, "item": item})]);
            assert_eq!(streamed(RESPONSES, &asked, &events), said, "{kind} {arguments}");
        }
        let added = json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "name": "f", "arguments": ""}});
        let done = json!({"type": "response.function_call_arguments.done", "output_index": 0, "name": "f", "arguments": arguments});
        assert_eq!(streamed(RESPONSES, &asked, &plain(vec![added, done])), said, "{arguments}");
    }
}

/// The streams of real servers, as they write them.
#[test]
fn streams_of_every_dialect_leave_as_they_come() {
    let delta = |delta: Value| json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let events = plain(vec![
        delta(json!({"role": "assistant", "content": null, "refusal": null})),
        delta(json!({"content": "{\"n\""})),
        delta(json!({"content": ":1}", "tool_calls": null})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ]);
    assert_eq!(streamed(CHAT, &wanted(CHAT), &events), Ok(()));
    let line = |text: &str, done: bool| json!({"model": "m", "created_at": "2026-11-21T09:08:07Z", "message": {"role": "assistant", "content": text}, "done": done});
    let events = plain(vec![line("{\"n\"", false), line(":1}", false), line("", true)]);
    assert_eq!(streamed("/api/chat", &wanted("/api/chat"), &events), Ok(()));
    let named = |event: Value| -> (&'static str, Value) {
        let name = event["type"].as_str().unwrap().to_owned();
        (Box::leak(name.into_boxed_str()), event)
    };
    let events: Vec<_> = [
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "let me see"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"n\":1}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]
    .into_iter()
    .map(named)
    .collect();
    assert_eq!(streamed(MESSAGES, &offered(MESSAGES), &events), Ok(()));
    let response = |output: Value| json!({"id": "r", "object": "response", "output": output, "text": {"format": {"type": "text"}}, "error": null});
    let item = |text: &str| json!({"id": "i", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]});
    let delta = |text: &str| json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": text, "logprobs": []});
    let events: Vec<_> = [
        json!({"type": "response.created", "sequence_number": 0, "response": response(json!([]))}),
        json!({"type": "response.in_progress", "response": response(json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "i", "type": "message", "role": "assistant", "content": []}}),
        json!({"type": "response.content_part.added", "item_id": "i", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
        delta("{\"n\""),
        delta(":1}"),
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "{\"n\":1}"}),
        json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": {"type": "output_text", "text": "{\"n\":1}"}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("{\"n\":1}")}),
        json!({"type": "response.completed", "response": response(json!([item("{\"n\":1}")]))}),
    ]
    .into_iter()
    .map(named)
    .collect();
    assert_eq!(streamed(RESPONSES, &wanted(RESPONSES), &events), Ok(()));
}

/// What the gate takes for a piece, and a client does not, must not make a value whole: the client reads `{"EVIL":2}`
/// where the gate would read `{"n":1}`.
#[test]
fn a_piece_that_a_client_does_not_read_is_none() {
    let (first, hidden, last) = ("{\"", "n\":1}", "EVIL\":2}");
    let fine = |piece: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}});
    let start = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}});
    let run = |events: Vec<(&'static str, Value)>| {
        let mut all = vec![("", start.clone()), ("", fine(first))];
        all.extend(events);
        streamed(MESSAGES, &offered(MESSAGES), &all)
    };
    assert_eq!(run(vec![("", fine(hidden))]), Ok(()));
    assert_eq!(run(vec![("content_block_delta", fine(hidden))]), Ok(()));
    assert_eq!(run(vec![("", fine(last))]), Err(Code::SchemaResponse));
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    for (name, event) in [
        ("ping", fine(hidden)),
        ("", delta(json!({"type": "text_delta", "text": "", "partial_json": hidden}))),
        ("", delta(json!({"partial_json": hidden}))),
        ("", delta(json!({"type": "Input_Json_Delta", "partial_json": hidden}))),
        ("", delta(json!({"type": "input_json_delta", "Partial_json": hidden}))),
        (
            "",
            json!({"type": "Content_Block_Delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": hidden}}),
        ),
        (
            "",
            json!({"type": "content_block_delta", "index": 0.0, "delta": {"type": "input_json_delta", "partial_json": hidden}}),
        ),
        ("", json!({"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": hidden}})),
        (
            "",
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": hidden}}),
        ),
        ("", start.clone()),
    ] {
        assert_eq!(run(vec![(name, event.clone())]), Err(Code::SchemaResponse), "{name} {event}");
    }
    // Of a text of Anthropic's, neither.
    let open =
        |kind: &str| json!({"type": "content_block_start", "index": 0, "content_block": {"type": kind, kind: ""}});
    let fine = |piece: &str| delta(json!({"type": "text_delta", "text": piece}));
    let text = |events: Vec<Value>| streamed(MESSAGES, &wanted(MESSAGES), &plain(events));
    assert_eq!(text(vec![open("text"), fine(first), fine(hidden)]), Ok(()));
    for events in [
        vec![open("thinking"), fine(first), fine(hidden)],
        vec![fine(first), fine(hidden)],
        vec![open("text"), fine(first), delta(json!({"type": "thinking_delta", "text": hidden}))],
        vec![
            json!({"type": "message_start", "message": {"type": "message", "content": [{"type": "text", "text": "{\"n\":1}"}]}}),
            open("text"),
            fine(first),
            fine(hidden),
        ],
    ] {
        assert_eq!(text(events.clone()), Err(Code::SchemaResponse), "{events:?}");
    }
    // Nor of a choice, or of a call in one.
    let choice = |choice: Value| json!({"choices": [choice]});
    let said = |piece: &str| choice(json!({"index": 0, "delta": {"content": piece}}));
    assert_eq!(streamed(CHAT, &wanted(CHAT), &plain(vec![said(first), said(hidden)])), Ok(()));
    for event in [
        choice(json!({"index": 0, "delta": {"Content": hidden}})),
        choice(json!({"index": 0, "Delta": {"content": hidden}})),
        choice(json!({"index": 0.0, "delta": {"content": hidden}})),
        choice(json!({"delta": {"content": hidden}})),
        choice(json!({"index": 0, "delta": {"content": [{"type": "text", "text": hidden}]}})),
        json!({"choices": [{"index": 7, "delta": {}}, {"index": 0.0, "delta": {"content": hidden}}]}),
    ] {
        let said = streamed(CHAT, &wanted(CHAT), &plain(vec![said(first), event.clone()]));
        assert_eq!(said, Err(Code::SchemaResponse), "{event}");
    }
    let called = |call: Value| choice(json!({"index": 0, "delta": {"tool_calls": [call]}}));
    let begin = called(json!({"index": 0, "type": "function", "function": {"name": "f", "arguments": first}}));
    let more = |function: Value| called(json!({"index": 0, "function": function}));
    let run = |event: Value| streamed(CHAT, &offered(CHAT), &plain(vec![begin.clone(), event]));
    assert_eq!(run(more(json!({"arguments": hidden}))), Ok(()));
    for event in [
        more(json!({"Arguments": hidden})),
        more(json!({"input": hidden})),
        called(json!({"index": 0.0, "function": {"arguments": hidden}})),
        called(json!({"function": {"arguments": hidden}})),
        called(json!({"index": 0, "arguments": hidden, "function": {"arguments": ""}})),
    ] {
        assert_eq!(run(event.clone()), Err(Code::SchemaResponse), "{event}");
    }
    let line = |key: &str, piece: &str| json!({"message": {"role": "assistant", key: piece}});
    let events = plain(vec![line("content", first), line("Content", hidden)]);
    assert_eq!(streamed("/api/chat", &wanted("/api/chat"), &events), Err(Code::SchemaResponse));
}

#[test]
fn of_a_call_in_two_forms_neither_leaves() {
    let fine = json!({"name": "f", "arguments": "{\"n\":1}"});
    let call = |call: Value| json!({"choices": [{"index": 0, "message": {"content": null, "tool_calls": [call]}}]});
    let custom = json!({"name": "EVIL", "input": "rm"});
    assert_eq!(
        whole(CHAT, &offered(CHAT), &call(json!({"type": "function", "function": fine, "custom": null}))),
        Ok(())
    );
    for odd in [
        json!({"type": "custom", "function": fine, "custom": custom}),
        json!({"type": "custom", "custom": custom}),
        json!({"function": fine, "name": "EVIL", "arguments": "{}"}),
        json!({"function": fine, "arguments": "{\"EVIL\":1}"}),
        json!({"function": {"name": "f", "arguments": "{\"n\":1}", "input": "EVIL"}}),
    ] {
        assert_eq!(whole(CHAT, &offered(CHAT), &call(odd.clone())), Err(Code::SchemaResponse), "{odd}");
    }
}

#[test]
fn a_call_excuses_the_words_of_its_own_choice_alone() {
    let (kind, mut body) = wanted(CHAT);
    body["tools"] = offered(CHAT).1["tools"].clone();
    let call = json!({"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"n\":1}"}});
    for (one, other, fits) in [
        (json!("{\"n\":1}"), Value::Null, true),
        (json!("{\"n\":1}"), json!("let me see"), true),
        (json!("{\"n\":1}"), json!("{\"n\":2}"), true),
        (json!("EVIL"), Value::Null, false),
        (json!("{\"n\":1}"), json!("{\"n\":\"EVIL\"}"), false),
        (json!("{\"n\":1}"), json!(" {\"n\":\"EVIL\",\"n\":2}"), false),
    ] {
        for second in [1, 0] {
            let words = json!({"index": 1 - second, "message": {"content": one}});
            let calls = json!({"index": second, "message": {"content": other, "tool_calls": [call]}});
            let said = whole(CHAT, &(kind, body.clone()), &json!({"choices": [words, calls]}));
            assert_eq!(said, if fits { Ok(()) } else { Err(Code::SchemaResponse) }, "{one} {other}");
            let delta = |choice: &Value| json!({"choices": [{"index": choice["index"], "delta": choice["message"]}]});
            let said = streamed(CHAT, &(kind, body.clone()), &plain(vec![delta(&words), delta(&calls)]));
            assert_eq!(said, if fits { Ok(()) } else { Err(Code::SchemaResponse) }, "{one} {other}");
        }
    }
}

#[test]
fn a_tool_that_is_not_to_be_chosen_is_not_called() {
    let call = json!({"choices": [{"index": 0, "message": {"content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"n\":1}"}}]}}]});
    let (kind, body) = offered(CHAT);
    for (choice, fits) in [
        (json!("auto"), Ok(())),
        (json!({"type": "function", "function": {"name": "f"}}), Ok(())),
        (json!({"type": "function", "function": {"name": "g"}}), Err(Code::SchemaResponse)),
        (json!("none"), Err(Code::SchemaResponse)),
    ] {
        let mut body = body.clone();
        body["tool_choice"] = choice.clone();
        assert_eq!(whole(CHAT, &(kind, body), &call), fits, "{choice}");
    }
}

/// Requests that are answered with no value, and values that were taken for none.
#[test]
fn clean_answers_leave() {
    for (path, counts) in [
        ("/v1/messages/count_tokens", MESSAGES),
        ("/v1/chat/completions/input_tokens", CHAT),
        ("/apply-template", CHAT),
    ] {
        let asked = (UpstreamKind::LlamaCpp, wanted(counts).1);
        assert_eq!(whole(path, &asked, &json!({"input_tokens": 7})), Ok(()), "{path}");
    }
    let any = (UpstreamKind::LlamaCpp, json!({"prompt": "p", "json_schema": {}}));
    for (text, fits) in [("7", true), ("[1]", true), ("{\"a\":1}", true), ("seven", false)] {
        let said = whole("/completion", &any, &json!({"content": text}));
        assert_eq!(said, if fits { Ok(()) } else { Err(Code::SchemaResponse) }, "{text}");
    }
    // The server calls its own tool, and answers the call.
    let (kind, mut body) = offered(MESSAGES);
    let start = |of: &str| json!({"type": "content_block_start", "index": 0, "content_block": {"type": of, "id": "s", "name": "web_search", "input": {}}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"query\":\"x\"}"}});
    let run =
        |body: &Value, of: &str| streamed(MESSAGES, &(kind, body.clone()), &plain(vec![start(of), delta.clone()]));
    assert_eq!(run(&body, "server_tool_use"), Err(Code::SchemaResponse), "nobody offered it");
    body["tools"] = json!([body["tools"][0], {"type": "web_search_20250305", "name": "web_search"}]);
    assert_eq!(run(&body, "server_tool_use"), Ok(()));
    assert_eq!(run(&body, "tool_use"), Ok(()), "any object");
}

#[test]
fn llama_cpp_says_which_prompt_it_answers() {
    let asked = (UpstreamKind::LlamaCpp, json!({"prompt": ["p", "q"], "json_schema": schema(), "stream": true}));
    let frame =
        |index: u64, text: &str| json!({"index": index, "content": text, "tokens": [1], "stop": text.is_empty()});
    let run = |frames: Vec<Value>| streamed("/completion", &asked, &plain(frames));
    let (first, last) = ("{\"n\"", ":1}");
    assert_eq!(
        run(vec![frame(0, first), frame(1, first), frame(1, last), frame(0, last), frame(0, ""), frame(1, "")]),
        Ok(())
    );
    assert_eq!(run(vec![frame(0, first), frame(1, last)]), Err(Code::SchemaResponse));
    assert_eq!(run(vec![frame(0, first), json!({"content": last})]), Err(Code::SchemaResponse));
    let odd = json!({"index": 0.0, "content": last});
    assert_eq!(run(vec![frame(0, first), odd]), Err(Code::SchemaResponse));
}

/// A line that is no data to the standard, and is to some clients: it is refused, or nothing of it leaves.
#[test]
fn a_call_in_a_line_that_only_some_clients_read_does_not_leave() {
    let filter = filter(vec![]);
    let (kind, body) = offered(CHAT);
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "EVIL", "arguments": "{}"}}]}}]});
    let fine = "data: {\"choices\":[]}\n\n";
    for (line, refused) in [
        (format!("\u{feff}data: {call}\n\n"), true),
        (format!(" data: {call}\n\n"), true),
        (format!(": x\u{2028}data: {call}\u{2028}\u{2028}\n\n"), true),
        (format!(": x\u{c}data: {call}\n\n"), true),
        (format!(": hi\n data: {call}\ndata: {{}}\n\n"), true),
        (format!(": {call}\n\n"), false),
        (format!("event: {call}\n\n"), false),
    ] {
        let begun = Exchange::begin(&filter, kind, CHAT, &body).unwrap();
        let (left, said) = begun.answer(&filter, Some(StreamFormat::Sse), true, &[fine, &line, fine]);
        assert_eq!(said.is_err(), refused, "{line:?}");
        let all = if refused { fine.to_owned() } else { format!("{fine}:\n\n{fine}") };
        assert_eq!(left.concat(), all, "{line:?}");
    }
}

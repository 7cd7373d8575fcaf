//! Answers to requests that bring schemas and tools, and to those that bring none.

use super::*;

#[test]
fn an_answer_fits_what_its_request_asks_for() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let filter = filter(vec![]);
    type Case<'c> = (UpstreamKind, &'c str, Value, fn(&str) -> Value);
    let cases: [Case<'_>; 4] = [
        (
            UpstreamKind::Ollama,
            "/api/chat",
            json!({"model": "m", "format": schema}),
            |text| json!({"message": {"content": text}}),
        ),
        (
            UpstreamKind::Ollama,
            "/api/generate",
            json!({"model": "m", "format": schema}),
            |text| json!({"response": text}),
        ),
        (
            UpstreamKind::LlamaCpp,
            "/v1/chat/completions",
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}),
            |text| json!({"choices": [{"message": {"content": text}}]}),
        ),
        (
            UpstreamKind::LlamaCpp,
            "/completion",
            json!({"prompt": "p", "json_schema": schema}),
            |text| json!({"content": text}),
        ),
    ];
    for (kind, path, body, wrap) in cases {
        let begun = Exchange::begin(&filter, kind, path, &body).unwrap();
        let fine = wrap(" {\"n\": 7} ");
        assert_eq!(begun.whole(&filter, &fine), Ok(fine.clone()), "{path}");
        for (text, code) in [
            ("{\"n\": \"seven\"}", Code::SchemaResponse),
            ("{}", Code::SchemaResponse),
            ("{\"n\": 7", Code::SchemaResponse),
            ("{\"n\": 7, \"n\": 8}", Code::SchemaResponse),
            ("", Code::SchemaResponse),
        ] {
            assert_eq!(begun.whole(&filter, &wrap(text)), Err(code), "{path} {text}");
        }
    }
}

#[test]
fn calls_fit_the_parameters_of_tools_that_were_offered() {
    let filter = filter(vec![]);
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let offer = json!({"model": "m", "tools": [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]});
    let openai = |name: &str, arguments: &str| json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]}}]});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &offer).unwrap();
    for (answer, fits) in [
        (openai("weather", "{\"city\":\"Rome\"}"), Ok(())),
        (openai("weather", "{\"city\":7}"), Err(Code::SchemaResponse)),
        (openai("weather", ""), Err(Code::SchemaResponse)),
        (openai("weather", "{\"city\":\"Rome\""), Err(Code::SchemaResponse)),
        (openai("delete_all", "{}"), Err(Code::SchemaResponse)),
        (json!({"choices": [{"message": {"content": "no call at all"}}]}), Ok(())),
    ] {
        assert_eq!(begun.whole(&filter, &answer).map(drop), fits, "{answer}");
    }
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, "/api/chat", &offer).unwrap();
    let ollama = |arguments: Value| json!({"message": {"content": "", "tool_calls": [{"function": {"name": "weather", "arguments": arguments}}]}});
    assert!(begun.whole(&filter, &ollama(json!({"city": "Rome"}))).is_ok());
    assert_eq!(begun.whole(&filter, &ollama(json!({"town": "Rome"}))), Err(Code::SchemaResponse));
    let offer = json!({"tools": [{"name": "weather", "input_schema": parameters}]});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/messages", &offer).unwrap();
    let anthropic = |input: Value| json!({"type": "message", "content": [{"type": "text", "text": "well"}, {"type": "tool_use", "name": "weather", "input": input}]});
    assert!(begun.whole(&filter, &anthropic(json!({"city": "Rome"}))).is_ok());
    assert_eq!(begun.whole(&filter, &anthropic(json!({}))), Err(Code::SchemaResponse));
    let offer = json!({"tools": [{"type": "function", "name": "weather", "parameters": parameters}]});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &offer).unwrap();
    let item =
        |arguments: &str| json!({"output": [{"type": "function_call", "name": "weather", "arguments": arguments}]});
    assert!(begun.whole(&filter, &item("{\"city\":\"Rome\"}")).is_ok());
    assert_eq!(begun.whole(&filter, &item("{\"city\":null}")), Err(Code::SchemaResponse));
}

#[test]
fn what_is_offered_no_tools_calls_none() {
    let filter = filter(vec![]);
    let (chat, ollama) = ("/v1/chat/completions", "/api/chat");
    let call = json!({"id": "1", "type": "function", "function": {"name": "sh", "arguments": "{}"}});
    let openai = |calls: Value| json!({"choices": [{"message": {"content": "so", "tool_calls": calls}}]});
    let none = json!({"model": "m", "messages": []});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, chat, &none).unwrap();
    for (answer, fits) in [
        (openai(json!([call])), false),
        (openai(call.clone()), false),
        (openai(json!([])), true),
        (openai(Value::Null), true),
        (
            json!({"choices": [{"message": {"content": null, "function_call": {"name": "sh", "arguments": "{}"}}}]}),
            false,
        ),
        (json!({"choices": [{"message": {"content": 7, "function_call": null}}]}), true),
        (json!({"output": [{"type": "function_call", "name": "sh", "arguments": "{}"}]}), false),
        (json!({"output": [{"type": "local_shell_call"}]}), false),
        (json!({"output": "words"}), true),
        (json!({"output": {"0": {"type": "function_call", "name": "sh", "arguments": "{}"}}}), false),
        (json!({"output": [[{"type": "function_call", "name": "sh", "arguments": "{}"}]]}), false),
        (json!({"choices": {"0": {"message": {"tool_calls": [call]}}}}), false),
        (json!({"choices": [[{"message": {"tool_calls": [call]}}]]}), false),
        (json!({"choices": [{"message": [{"tool_calls": [call]}]}]}), false),
        (json!([[{"choices": [{"message": {"tool_calls": [call]}}]}]]), false),
        (json!({"content": {"0": {"type": "tool_use", "name": "sh", "input": {}}}}), false),
        (json!({"content": [[{"type": "tool_use", "name": "sh", "input": {}}]]}), false),
        (json!([[0.25, 1], [7]]), true),
        (json!({"choices": {}, "content": 7}), true),
        (json!({"content": [{"type": "tool_use", "name": "sh", "input": {}}]}), false),
        (json!({"content": [{"type": "text", "text": "so"}], "stop_reason": "end_turn"}), true),
        (json!({"data": [{"embedding": [1.5]}], "error": null}), true),
        (json!("seven"), true),
    ] {
        let said = begun.whole(&filter, &answer).map(drop);
        assert_eq!(said, if fits { Ok(()) } else { Err(Code::SchemaResponse) }, "{answer}");
    }
    // It is read, whatever it is said to be.
    let written = openai(json!([call])).to_string();
    for (text, fits) in [
        (written.clone(), false),
        (format!(" {written}\n"), false),
        (format!("data: {{}}\n\ndata: {written}\n\ndata: [DONE]\n\n"), false),
        (format!("{{}}\n{written}\n"), false),
        ("just words: {written}".to_owned(), true),
        ("{\"choices\":[{\"text\":\"so\"}]}".to_owned(), true),
    ] {
        let (left, said) = begun.read(&filter, Reading::Text, None, true, &[&text]);
        assert_eq!((left.concat().is_empty(), said.is_ok()), (!fits, fits), "{text}");
    }
    // An answer that is none, or empty, is none of this filter's concern.
    assert!(begun.answer(&filter, None, true, &[]).1.is_ok());
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, ollama, &none).unwrap();
    let line = |message: Value| format!("{}\n", json!({"message": message}));
    let words = line(json!({"content": "let me see"}));
    let calls = line(json!({"content": "", "tool_calls": [{"function": {"name": "sh", "arguments": {}}}]}));
    let (left, said) = begun.answer(&filter, Some(StreamFormat::Ndjson), true, &[&words, &words, &calls, &words]);
    assert_eq!((left.concat(), said.unwrap_err().code), (words.repeat(2), Code::SchemaResponse));
    // Whose tools stand elsewhere, may call them; whose schema filter looks at nothing that requests ask, too.
    for elsewhere in [
        json!({"model": "m", "previous_response_id": "r"}),
        json!({"model": "m", "conversation": "c"}),
        json!({"model": "m", "prompt": {"id": "p"}}),
        json!({"model": "m", "mcp_servers": [{"url": "https://mcp.example"}]}),
    ] {
        let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &elsewhere).unwrap();
        assert!(begun.whole(&filter, &openai(json!([call]))).is_ok(), "{elsewhere}");
    }
    let blind = SchemaFilter::new(SchemaSettings::default(), Arc::default(), Arc::default());
    let begun = Exchange::begin(&blind, UpstreamKind::LlamaCpp, chat, &none).unwrap();
    assert!(begun.whole(&blind, &openai(json!([call]))).is_ok());
}

#[test]
fn of_a_stream_that_must_fit_nothing_leaves_before_its_end() {
    let filter = filter(vec![]);
    let body = json!({"model": "m", "format": {"type": "object", "required": ["n"]}});
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, "/api/chat", &body).unwrap();
    let piece = |text: &str, done: bool| format!("{}\n", json!({"message": {"content": text}, "done": done}));
    let stream = Some(StreamFormat::Ndjson);
    let chunks = [piece("{\"n\"", false), piece(": 7}", false), piece("", true)];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
    let (left, said) = begun.answer(&filter, stream, true, &chunks);
    assert!(said.is_ok() && left[..3].iter().all(String::is_empty), "{left:?}");
    assert_eq!(left[3], chunks.concat());
    for (pieces, code) in [
        (vec![piece("{\"m\"", false), piece(": 7}", true)], Code::SchemaResponse),
        (vec![piece("{\"n\"", false)], Code::SchemaResponse),
        (vec![piece("{\"n\":", false), piece(" 7", true)], Code::SchemaResponse),
        (vec![piece("", true)], Code::SchemaResponse),
    ] {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (left, said) = begun.answer(&filter, stream, true, &pieces);
        assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), code), "{pieces:?}");
    }
}

#[test]
fn in_a_stream_words_leave_at_once_and_calls_when_they_are_whole() {
    let filter = filter(vec![]);
    let body = json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}]});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &body).unwrap();
    let delta = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let call = |name: Option<&str>, piece: &str| {
        let mut function = json!({"arguments": piece});
        if let Some(name) = name {
            function["name"] = name.into();
        }
        delta(json!({"tool_calls": [{"index": 0, "function": function}]}))
    };
    let run = |chunks: &[String]| {
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        begun.answer(&filter, Some(StreamFormat::Sse), true, &chunks)
    };
    let words = delta(json!({"content": "let me see"}));
    let done = "data: [DONE]\n\n".to_owned();
    let (left, said) =
        run(&[words.clone(), call(Some("f"), ""), call(None, "{\"a\""), call(None, ":1}"), done.clone()]);
    assert!(said.is_ok(), "{said:?}");
    assert_eq!(left[0], words, "words are not held");
    assert!(left[1..5].iter().all(String::is_empty) && left[5].ends_with(&done), "{left:?}");
    for (chunks, code) in [
        (vec![words.clone(), call(Some("f"), "{\"b\":1}"), done.clone()], Code::SchemaResponse),
        (vec![words.clone(), call(Some("g"), "{\"a\":1}")], Code::SchemaResponse),
        (vec![words.clone(), call(Some("f"), "{\"a\":1")], Code::SchemaResponse),
        (vec![words.clone(), call(Some("f"), "{\"a\""), call(Some("g"), ":1}")], Code::SchemaResponse),
    ] {
        let (left, said) = run(&chunks);
        assert_eq!((left.concat(), said.unwrap_err().code), (words.clone(), code), "{chunks:?}");
    }
}

#[test]
fn what_a_stream_says_once_more_counts_once_more() {
    let filter = filter(vec![]);
    let body = json!({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object", "required": ["a"]}}}});
    let begun = Exchange::begin(&filter, UpstreamKind::OpenAi, "/v1/responses", &body).unwrap();
    let event = |event: Value| format!("data: {event}\n\n");
    let delta = event(
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "{\"a\":1}"}),
    );
    let done = |text: &str| {
        event(
            json!({"type": "response.completed", "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}}),
        )
    };
    let run = |chunks: [&str; 2]| begun.answer(&filter, Some(StreamFormat::Sse), true, &chunks);
    assert!(run([&delta, &done("{\"a\":1}")]).1.is_ok());
    let (left, said) = run([&delta, &done("rm -rf")]);
    assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse));
}

#[test]
fn errors_of_the_server_are_no_values() {
    let filter = filter(vec![]);
    let body = json!({"model": "m", "format": "json"});
    let begun = Exchange::begin(&filter, UpstreamKind::Ollama, "/api/generate", &body).unwrap();
    let (left, said) = begun.answer(&filter, None, false, &[r#"{"error":"no such model"}"#]);
    assert!(said.is_ok() && left.concat().contains("no such model"));
    let load = r#"{"response":"","done":true,"done_reason":"load"}"#;
    assert!(begun.answer(&filter, None, true, &[load]).1.is_ok());
    let broken = "{\"error\":\"out of memory\"}\n";
    assert!(begun.answer(&filter, Some(StreamFormat::Ndjson), true, &[broken]).1.is_ok());
}

#[test]
fn a_route_is_held_to_the_operator_s_schema() {
    let schema = |json: Value| Some(Arc::new(Schema::compile(&json).unwrap()));
    let own = RouteSchema {
        route: "ollama.generate".into(),
        request: schema(json!({"required": ["prompt"]})),
        answer: schema(json!({"required": ["response"], "properties": {"response": {"maxLength": 3}}})),
    };
    let filter = filter(vec![own]);
    let begin = |body: Value| Exchange::begin(&filter, UpstreamKind::Ollama, "/api/generate", &body);
    assert_eq!(begin(json!({"model": "m"})).err().unwrap().code, Code::SchemaRequest);
    let begun = begin(json!({"model": "m", "prompt": "p", "stream": false})).unwrap();
    assert!(begun.whole(&filter, &json!({"response": "yes"})).is_ok());
    assert_eq!(begun.whole(&filter, &json!({"response": "certainly"})), Err(Code::SchemaResponse));
    let (_, said) = begun.answer(&filter, None, true, &["{\"response\": "]);
    assert_eq!(said.unwrap_err().code, Code::SchemaNotJson);
    // The server streams though it was asked not to: no frame is the whole answer.
    let unwatched = SchemaFilter::new(
        SchemaSettings { requested: false, ..filter.settings.clone() },
        Arc::default(),
        Arc::default(),
    );
    let plain = Exchange::begin(&unwatched, UpstreamKind::Ollama, "/api/generate", &json!({"prompt": "p"})).unwrap();
    for (filter, begun) in [(&filter, &begun), (&unwatched, &plain)] {
        for response in ["certainly", "yes"] {
            let line = format!("{}\n", json!({"response": response}));
            let (left, said) = begun.answer(filter, Some(StreamFormat::Ndjson), true, &[&line]);
            assert_eq!((left.concat(), said.unwrap_err().code), (String::new(), Code::SchemaResponse), "{response}");
        }
    }
}

#[test]
fn an_answer_of_too_many_choices_is_not_looked_at() {
    let filter = filter(vec![]);
    let choices = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| json!({"index": index, "message": {"content": ""}})).collect();
        json!({"choices": all})
    };
    for body in [json!({"model": "m"}), json!({"model": "m", "tools": [{"function": {"name": "f"}}]})] {
        let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &body).unwrap();
        assert!(begun.whole(&filter, &choices(said::MOST_CHOICES)).is_ok(), "{body}");
        let no = begun.whole(&filter, &choices(said::MOST_CHOICES + 1));
        assert_eq!(no, Err(Code::SchemaResponse), "{body}");
    }
}

#[test]
fn arguments_are_read_once_however_often_the_name_is_repeated() {
    let filter = filter(vec![]);
    let body = json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &body).unwrap();
    let call = |piece: &str| {
        let call = json!({"index": 0, "function": {"name": "f", "arguments": piece}});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    let run = |pieces: &[&str]| {
        let chunks: Vec<_> = pieces.iter().map(|piece| call(piece)).collect();
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        begun.answer(&filter, Some(StreamFormat::Sse), true, &chunks)
    };
    assert!(run(&["{\"a\":", "1", "}", "{}", "null", "{\"b\":[2]}"]).1.is_ok());
    // What has ended and cannot be read is refused where the name comes again, not read at each piece until the end.
    let (left, said) = run(&["{\"a\"", "]", "1", "1"]);
    assert_eq!((left.len(), said.unwrap_err().code), (3, Code::SchemaResponse));
}

#[test]
fn what_only_counts_or_writes_out_a_question_is_held_to_none() {
    let filter = filter(vec![]);
    let schema = json!({"type": "object", "required": ["a"]});
    let named = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    for (path, body, answer) in [
        (
            "/v1/messages/count_tokens",
            json!({"model": "m", "output_config": {"format": {"type": "json_schema", "schema": schema}}}),
            json!({"input_tokens": 7}),
        ),
        ("/apply-template", json!({"messages": [], "response_format": named}), json!({"prompt": "so"})),
    ] {
        let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, path, &body).unwrap();
        assert_eq!(begun.whole(&filter, &answer), Ok(answer.clone()), "{path}");
    }
}

#[test]
fn an_answer_that_was_cut_off_is_named_and_not_asked_for_again() {
    let filter = filter(vec![]);
    let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}});
    type Case<'c> = (UpstreamKind, &'c str, Value, fn(&str, bool) -> Value);
    let cases: [Case<'_>; 3] = [
        (
            UpstreamKind::Ollama,
            "/api/chat",
            json!({"model": "m", "format": "json"}),
            |text, cut| json!({"message": {"content": text}, "done_reason": if cut { "length" } else { "stop" }}),
        ),
        (
            UpstreamKind::LlamaCpp,
            "/v1/chat/completions",
            json!({"response_format": format}),
            |text, cut| json!({"choices": [{"message": {"content": text}, "finish_reason": if cut { "length" } else { "stop" }}]}),
        ),
        (
            UpstreamKind::OpenAi,
            "/v1/messages",
            json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}),
            |text, cut| {
                let reason = if cut { "max_tokens" } else { "end_turn" };
                json!({"type": "message", "content": [{"type": "text", "text": text}], "stop_reason": reason})
            },
        ),
    ];
    for (kind, path, body, wrap) in cases {
        let begun = Exchange::begin(&filter, kind, path, &body).unwrap();
        let judged = |text: &str, cut: bool| begun.answer(&filter, None, true, &[&wrap(text, cut).to_string()]).1;
        for text in ["{\"n\": [1, 2", ""] {
            let no = judged(text, true).unwrap_err();
            assert_eq!((no.code, no.lasting), (Code::SchemaResponse, true), "{path}");
            assert!(no.message.contains("cut off at the token limit: ask for more tokens"), "{}", no.message);
            let no = judged(text, false).unwrap_err();
            assert!(!no.lasting && !no.message.contains("cut off"), "{path} {}", no.message);
        }
        assert!(judged("{}", true).is_ok(), "{path}: what is whole is whole");
        let no = judged("[1]", true).unwrap_err();
        assert!(!no.lasting, "{path}: it is whole, and does not fit");
        let no = judged("{\"a\": 1, \"a\": 2}", true).unwrap_err();
        assert_eq!((no.message.as_ref(), no.lasting), ("the answer must be JSON, and a key stands twice in it", false));
    }
}

#[test]
fn a_stream_that_was_cut_off_is_named_so_too() {
    let filter = filter(vec![]);
    let begun =
        Exchange::begin(&filter, UpstreamKind::Ollama, "/api/chat", &json!({"model": "m", "format": "json"})).unwrap();
    let lines = |reason: &str| {
        let (first, last) = (
            json!({"message": {"content": "{\"n\": "}, "done": false}),
            json!({"message": {"content": "[1"}, "done": true, "done_reason": reason}),
        );
        [format!("{first}\n"), format!("{last}\n")]
    };
    for (reason, cut) in [("length", true), ("stop", false)] {
        let [first, last] = lines(reason);
        let (left, said) = begun.answer(&filter, Some(StreamFormat::Ndjson), true, &[&first, &last]);
        let no = said.unwrap_err();
        assert_eq!((left.concat(), no.lasting, no.message.contains("cut off")), (String::new(), cut, cut), "{reason}");
    }
    let tools =
        json!({"tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]});
    let begun = Exchange::begin(&filter, UpstreamKind::LlamaCpp, "/v1/chat/completions", &tools).unwrap();
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function":
        {"name": "weather", "arguments": "{\"city\": \"Ro"}}]}}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]});
    let frames = [format!("data: {call}\n\n"), format!("data: {end}\n\n"), "data: [DONE]\n\n".to_owned()];
    let (_, said) = begun.answer(&filter, Some(StreamFormat::Sse), true, &[&frames[0], &frames[1], &frames[2]]);
    let no = said.unwrap_err();
    let said = "the answer was cut off at the token limit within a tool call: ask for more tokens";
    assert!(no.lasting && no.message.starts_with(said), "{}", no.message);
}

//! A real llama.cpp server behind the gate.

use portcullis_tests::real::{LlamaServer, prepared};
use portcullis_tests::{Gate, until};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

/// One exchange with the server itself, past the gate.
fn direct(url: &str, method: &str, path: &str, body: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut tcp = std::net::TcpStream::connect(address).unwrap();
    write!(tcp, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The words of an answer, whole or streamed, without what differs from call to call.
fn words(text: &str) -> String {
    if let Ok(whole) = serde_json::from_str::<Value>(text) {
        return whole["choices"][0]["message"]["content"]
            .as_str()
            .or(whole["content"].as_str())
            .unwrap_or_default()
            .to_owned();
    }
    text.lines()
        .filter_map(|l| serde_json::from_str::<Value>(l.strip_prefix("data: ")?).ok())
        .filter_map(|v| v["choices"][0]["delta"]["content"].as_str().or(v["content"].as_str()).map(str::to_owned))
        .collect()
}

#[test]
fn whole_and_streamed_answers_equal_the_direct_ones() {
    let Some((python, models)) = prepared("the answers of a real llama.cpp server") else { return };
    let llama = LlamaServer::start(&python, &models.join("tiny.gguf"));
    let gate = Gate::before_url(&llama.url, "llamacpp").start();
    let alice = gate.stranger("alice");
    let chat = |stream: bool| json!({"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "stream": stream, "max_tokens": 40, "seed": 1, "temperature": 0});
    let pending = alice.post("/v1/chat/completions", &chat(false));
    assert_eq!((pending.status, pending.json()["error"]["code"].as_str()), (403, Some("identity.pending")));
    gate.approve_by(&alice, "/v1/models");
    for stream in [false, true] {
        let through = alice.post("/v1/chat/completions", &chat(stream));
        assert_eq!(through.status, 200, "{}", through.text());
        assert!(through.complete);
        let said = words(&through.text());
        assert!(said.starts_with("Hello from the tiny test model"), "{said}");
        assert_eq!(said, words(&direct(&llama.url, "POST", "/v1/chat/completions", &chat(stream).to_string())));
        if stream {
            assert!(through.text().ends_with("data: [DONE]\n\n"));
        }
    }
    let native = json!({"prompt": "Hi", "stream": true, "n_predict": 30});
    let through = alice.post("/completion", &native);
    assert_eq!(words(&through.text()), words(&direct(&llama.url, "POST", "/completion", &native.to_string())));
    assert_eq!(alice.get("/slots").code(), "policy.route_denied");
    assert_eq!(alice.get("/props").code(), "policy.route_denied");
    assert_eq!(alice.get("/v1/models").json()["data"][0]["id"], "tiny");
    assert!(gate.metric(r#"portcullis_tokens_total{direction="output",model="other",upstream="local"}"#) > 0.0);
}

#[test]
fn the_openai_package_and_curl_get_through() {
    let Some((python, models)) = prepared("the openai package through the gate") else { return };
    let llama = LlamaServer::start(&python, &models.join("tiny.gguf"));
    let gate = Gate::before_url(&llama.url, "llamacpp").start();
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, "/v1/models");
    let file = |name: &str, text: &str| {
        let path = gate.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cert, key, ca) = (file("c.crt", &alice.certificate), file("c.key", &alice.key), gate.state().join("ca.crt"));
    let base = format!("https://localhost:{}", gate.address.port());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/real/openai_client.py");
    let output = std::process::Command::new(&python)
        .arg(script)
        .arg(format!("{base}/v1"))
        .args([&ca, &cert, &key])
        .arg("tiny")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if errors.contains("No module named 'openai'") {
        eprintln!("skipped: the openai package is not installed");
    } else {
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"));
        assert!(said["whole"].as_str().unwrap().starts_with("Hello from the tiny test model"), "{said}");
        assert_eq!(said["whole"], said["streamed"]);
    }
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--cacert"]).arg(&ca).arg("--cert").arg(&cert).arg("--key").arg(&key);
    curl.args(["-H", "Content-Type: application/json", "-d", r#"{"prompt":"Hi","n_predict":30}"#])
        .arg(format!("{base}/completion"));
    match curl.output() {
        Err(_) => eprintln!("skipped: curl not found"),
        Ok(output) => {
            let said: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
            assert!(said["content"].as_str().unwrap().contains("tiny test model"), "curl reads a PKCS#8 version 1 key");
        }
    }
}

#[test]
fn a_client_that_leaves_frees_the_slot() {
    let Some((python, models)) = prepared("cancelling a real generation") else { return };
    let llama = LlamaServer::start(&python, &models.join("slow.gguf"));
    let gate = Gate::before_url(&llama.url, "llamacpp").start();
    let alice = gate.stranger("alice");
    gate.approve_by(&alice, "/v1/models");
    let busy = || {
        let slots = direct(&llama.url, "GET", "/slots", "");
        slots.matches("\"is_processing\":true").count()
    };
    let mut stream = alice.post_streamed("/v1/chat/completions", &json!({"model": "tiny", "stream": true, "max_tokens": 1500, "messages": [{"role": "user", "content": "go on"}]}));
    for _ in 0..3 {
        stream.piece().unwrap();
    }
    assert_eq!(busy(), 1);
    let left = std::time::Instant::now();
    drop(stream);
    until("the slot to be free", || (busy() == 0).then_some(()));
    eprintln!("the slot was free {:?} after the client left", left.elapsed());
    assert!(left.elapsed().as_secs() < 5, "it did not run to its end");
}

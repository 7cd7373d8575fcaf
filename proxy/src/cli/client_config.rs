//! `portcullis client-config`: what a client needs to reach this gate.

use clap::Args;
use portcullis_certs::NodeKey;

use super::{ClientKind, ConfigArg, Outcome, say};

/// Arguments of `client-config`.
#[derive(Args)]
pub(crate) struct ClientConfigArgs {
    /// Which client.
    client: ClientKind,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &ClientConfigArgs) -> Outcome {
    let config = args.config.load()?;
    let listen = config.gate.listen;
    let host = match config.gate.server_names.first() {
        Some(name) if listen.ip().is_unspecified() => name.clone(),
        _ if listen.ip().is_unspecified() => "localhost".to_owned(),
        _ => listen.ip().to_string(),
    };
    let url = format!("https://{host}:{}", listen.port());
    let hash = if matches!(args.client, ClientKind::Node) { "//" } else { "#" };
    // Without a key there is nothing to compare yet, and the door asks.
    let pin = NodeKey::load(&config.node.state.join("node.key"))
        .map(|node| format!(" --pin {}", node.public().fingerprint()))
        .unwrap_or_default();
    say!("{hash} Once on the client's machine: a door, which adds TLS and a key of its own, and stays on loopback.");
    say!("{hash}   portcullis connect {url}{pin}");
    say!("{hash} The gate shows it as pending until you run what the door prints: portcullis peers approve ID.");
    say!("{hash} Without that step: `portcullis enroll` here, and --token TOKEN there.");
    say!();
    say!("{}", through_door(args.client));
    if let Some(snippet) = directly(args.client, &url) {
        say!();
        say!("{hash} Or without a door, with a certificate of the client's own, pending in the same way:");
        say!("{hash}   openssl req -x509 -newkey ed25519 -nodes -keyout client.key -out client.crt -days 365 \\");
        say!("{hash}     -subj \"/CN=$(hostname)\"");
        say!("{hash} Copy the gate's CA there as ca.crt; here it is {}", config.node.state.join("ca.crt").display());
        say!();
        say!("{snippet}");
    }
    Ok(())
}

/// Plain HTTP to a door at its usual place.
fn through_door(client: ClientKind) -> &'static str {
    match client {
        ClientKind::Ollama => {
            "# An Ollama of this machine's own would sit on that port: stop it, or take another with --listen.\n\
             export OLLAMA_HOST=http://127.0.0.1:11434\n\
             ollama run MODEL"
        }
        ClientKind::OpenWebui => {
            "# pip install open-webui      (in a container, it must share the network of the door's machine)\n\
             OLLAMA_BASE_URL=http://127.0.0.1:11434 open-webui serve"
        }
        ClientKind::Continue => {
            "# ~/.continue/config.yaml\n\
             models:\n  - name: MODEL behind the gate\n    provider: ollama\n    model: MODEL\n    \
             apiBase: http://127.0.0.1:11434"
        }
        ClientKind::Curl => {
            "curl http://127.0.0.1:11434/v1/chat/completions \\\n  -H 'Content-Type: application/json' \\\n  \
             -d '{\"model\": \"MODEL\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'"
        }
        ClientKind::OpenaiPython => {
            r#"# pip install openai
import openai
client = openai.OpenAI(base_url="http://127.0.0.1:11434/v1", api_key="unused")
print(client.chat.completions.create(model="MODEL", messages=[{"role": "user", "content": "Hello"}]))"#
        }
        ClientKind::OllamaPython => {
            r#"# pip install ollama
import ollama
client = ollama.Client(host="http://127.0.0.1:11434")
print(client.chat(model="MODEL", messages=[{"role": "user", "content": "Hello"}]))"#
        }
        ClientKind::Node => {
            r#"// npm install ollama
import { Ollama } from "ollama";
const ollama = new Ollama({ host: "http://127.0.0.1:11434" });
console.log(await ollama.chat({ model: "MODEL", messages: [{ role: "user", content: "Hello" }] }));"#
        }
    }
}

/// Mutual TLS to the gate itself, for the clients that can.
fn directly(client: ClientKind, url: &str) -> Option<String> {
    let snippet = match client {
        ClientKind::Curl => format!(
            "curl --cacert ca.crt --cert client.crt --key client.key {url}/v1/chat/completions \\\n  -H 'Content-Type: application/json' \\\n  -d '{{\"model\": \"MODEL\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
        ),
        ClientKind::OpenaiPython => format!(
            r#"# pip install openai      (a certificate must go in by way of an SSL context)
import ssl
import openai
try:
    import httpx2 as httpx   # openai 3
except ImportError:
    import httpx             # openai 1 and 2
ctx = ssl.create_default_context(cafile="ca.crt")
ctx.load_cert_chain("client.crt", "client.key")
client = openai.OpenAI(base_url="{url}/v1", api_key="unused", http_client=httpx.Client(verify=ctx))
print(client.chat.completions.create(model="MODEL", messages=[{{"role": "user", "content": "Hello"}}]))"#
        ),
        ClientKind::OllamaPython => format!(
            r#"# pip install ollama      (cert=... beside verify="ca.crt" would silently not be sent: use a context)
import ssl
import ollama
ctx = ssl.create_default_context(cafile="ca.crt")
ctx.load_cert_chain("client.crt", "client.key")
client = ollama.Client(host="{url}", verify=ctx)
print(client.chat(model="MODEL", messages=[{{"role": "user", "content": "Hello"}}]))"#
        ),
        ClientKind::Node => format!(
            r#"// npm install ollama undici
import fs from "node:fs";
import {{ Ollama }} from "ollama";
import {{ Agent, fetch as undiciFetch }} from "undici";
const dispatcher = new Agent({{ connect: {{ ca: fs.readFileSync("ca.crt"), cert: fs.readFileSync("client.crt"), key: fs.readFileSync("client.key") }} }});
const ollama = new Ollama({{ host: "{url}", fetch: (input, init) => undiciFetch(input, {{ ...init, dispatcher }}) }});
console.log(await ollama.chat({{ model: "MODEL", messages: [{{ role: "user", content: "Hello" }}] }}));"#
        ),
        ClientKind::Ollama | ClientKind::OpenWebui | ClientKind::Continue => return None,
    };
    Some(snippet)
}

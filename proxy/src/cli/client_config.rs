//! `portcullis client-config`: what a client needs to reach this gate.

use clap::Args;
use portcullis_certs::NodeKey;
use portcullis_policies::IdentityMethod;

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
    say!(
        "{hash} On the gate's own machine 11434 is the Ollama's: --listen 127.0.0.1:11435 there, and that address below,"
    );
    say!("{hash} by OLLAMA_HOST=127.0.0.1:11435 for whatever reads it.");
    say!();
    say!("{}", through_door(args.client));
    let ca = config.node.state.join("ca.crt");
    if let Some(snippet) = directly(args.client, &url) {
        say!();
        say!("{hash} Or without a door, with a certificate of the client's own, pending in the same way:");
        say!("{hash}   openssl req -x509 -newkey ed25519 -nodes -keyout client.key -out client.crt -days 365 \\");
        // A name of its own: a gate refuses the name of a door, or of an earlier key, with another key.
        say!("{hash}     -subj \"/CN=$(hostname)-cert-$(openssl rand -hex 2)\"");
        say!("{hash} Copy the gate's CA there as ca.crt; here it is {}", ca.display());
        say!();
        say!("{snippet}");
    }
    if config.filters.identity.accept.contains(&IdentityMethod::ApiKey) {
        say!();
        say!("{hash} Or by an API key: `portcullis keys add NAME` here prints KEY, once. The gate's CA goes there as");
        say!("{hash} ca.crt; here it is {}", ca.display());
        say!();
        say!("{}", by_key(args.client, &url));
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

/// TLS to the gate itself, and a key that a person made.
fn by_key(client: ClientKind, url: &str) -> String {
    match client {
        ClientKind::Ollama => "# The ollama command line sends no API key: it takes the door.".to_owned(),
        ClientKind::Curl => format!(
            "curl --cacert ca.crt -H 'Authorization: Bearer KEY' {url}/v1/chat/completions \\\n  \
             -H 'Content-Type: application/json' \\\n  \
             -d '{{\"model\": \"MODEL\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'"
        ),
        ClientKind::OpenWebui => format!(
            "OPENAI_API_BASE_URL={url}/v1 OPENAI_API_KEY=KEY SSL_CERT_FILE=ca.crt REQUESTS_CA_BUNDLE=ca.crt open-webui serve"
        ),
        ClientKind::Continue => format!(
            "models:\n  - name: MODEL behind the gate\n    provider: openai\n    model: MODEL\n    apiBase: {url}/v1\n    \
             apiKey: KEY\n    requestOptions:\n      caBundlePath: /PATH/TO/ca.crt"
        ),
        ClientKind::OpenaiPython => format!(
            r#"# The script above without its load_cert_chain, and:
client = openai.OpenAI(base_url="{url}/v1", api_key="KEY", http_client=httpx.Client(verify=ctx))"#
        ),
        ClientKind::OllamaPython => format!(
            r#"# The script above without its load_cert_chain, and:
client = ollama.Client(host="{url}", headers={{"Authorization": "Bearer KEY"}}, verify=ctx)"#
        ),
        ClientKind::Node => format!(
            r#"// NODE_EXTRA_CA_CERTS=ca.crt node FILE.mjs
import {{ Ollama }} from "ollama";
const ollama = new Ollama({{ host: "{url}", headers: {{ Authorization: "Bearer KEY" }} }});"#
        ),
    }
}

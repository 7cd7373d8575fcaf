//! `portcullis client-config`: what a client needs to reach this gate.

use clap::Args;

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
    let ca = config.node.state.join("ca.crt");
    say!("# Once on the client: a key of its own. The gate shows it as pending until you approve it.");
    say!(
        "#   openssl req -x509 -newkey ed25519 -nodes -keyout client.key -out client.crt -days 365 -subj \"/CN=$(hostname)\""
    );
    say!("# Copy the gate's CA to the client as ca.crt; here it is {}", ca.display());
    say!("# On the gate, after the first try: portcullis peers pending; portcullis peers approve ID");
    say!();
    say!("{}", snippet(args.client, &url));
    Ok(())
}

fn snippet(client: ClientKind, url: &str) -> String {
    match client {
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
        ClientKind::Ollama | ClientKind::OpenWebui | ClientKind::Continue => format!(
            "# This program cannot show a client certificate. The local door that adds one for it\n\
             # (`portcullis connect`) comes with a later release. Until then, on the client's own machine,\n\
             # nginx can stand in: save this as /etc/nginx/conf.d/portcullis.conf, with the three files in\n\
             # /etc/nginx/portcullis, and point the program at http://127.0.0.1:11434.\n\
             server {{\n  listen 127.0.0.1:11434;\n  location / {{\n    proxy_pass {url};\n    proxy_http_version 1.1;\n    proxy_buffering off;\n    \
             proxy_read_timeout 15m;\n    proxy_set_header Host $proxy_host;\n    proxy_ssl_certificate /etc/nginx/portcullis/client.crt;\n    \
             proxy_ssl_certificate_key /etc/nginx/portcullis/client.key;\n    proxy_ssl_trusted_certificate /etc/nginx/portcullis/ca.crt;\n    \
             proxy_ssl_verify on;\n    proxy_ssl_name $proxy_host;\n  }}\n}}"
        ),
    }
}

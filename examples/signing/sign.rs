//! Signs a request for a Portcullis gate with the client library, sends it, and checks the signed answer.
//!
//! ```sh
//! KEY=node.key CA=ca.crt GATE=peer:… cargo run --example sign -- POST https://gpu-box:8443/api/chat '{"model": …}'
//! ```
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use http::{HeaderValue, Request, Uri, header};
use portcullis_signatures::{NodePublic, SecretKey, SignOptions, Target};
use portcullis_signatures::{Unverified, content_digest, sign_request, verify_answer};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let key = SecretKey::from_pem(&fs::read_to_string(env::var("KEY")?)?)?;
    let gate = env::var("GATE")?;
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().ok_or("expected METHOD URL [BODY]");
    let (method, url) = (next()?, next()?.parse::<Uri>()?);
    let body = next().unwrap_or_default();

    let target = Target {
        method: &method,
        https: true,
        authority: url.authority().ok_or("expected https://HOST/PATH")?.as_str(),
        path: url.path(),
        query: url.query(),
    };
    let created = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let options = SignOptions { created, nonce: None, audience: Some(&gate) };
    let mut request = Request::builder().method(&*method).uri(&url).body(body.clone())?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Signed once, sent once: a gate takes a nonce once, and a request that is sent again is signed anew.
    let asked = sign_request(&key, &target, request.headers_mut(), body.as_bytes(), &options)?;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = Certificate::from_pem(&fs::read(env::var("CA")?)?)?;
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[ca])).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into();
    let mut answer = agent.run(request)?;
    let status = answer.status();
    let said = answer.body_mut().read_to_vec()?;

    let gate = NodePublic::from_node_id(&gate)?;
    match verify_answer(&gate, status.as_u16(), answer.headers(), &asked) {
        Ok(answered) if answered.digest.is_none_or(|digest| digest == content_digest(&said)) => {}
        // A gate signs answers to requests whose signature it verified, and no others.
        Err(Unverified::Missing) if !status.is_success() => {}
        Ok(_) => return Err("the content is not the one that the gate signed".into()),
        Err(error) => return Err(error.into()),
    }
    println!("{}", String::from_utf8_lossy(&said));
    if status.is_success() { Ok(()) } else { Err(format!("the gate answered {status}").into()) }
}

//! One connection to the store, and what is known of the server at its other end.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, ServerErrorKind};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::tls::{self, Connector};
use super::{BEAT, MOST_WAITING};
use crate::config::RedisSettings;

/// The longest reason that is repeated.
const MAX_WHY: usize = 200;

/// A connection. The server behind it never changes: a server that restarts ends it.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    /// The server's own name for this run of itself.
    pub(super) server: String,
    given_up: Notify,
    driver: tokio::task::AbortHandle,
}

/// What a server says of itself.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// `run_id`: another one after every start.
    server: String,
    /// `redis_version` or `valkey_version`.
    pub(crate) version: String,
    role: String,
    /// `maxmemory_policy`.
    pub(crate) policy: String,
    /// Its clock, in Unix milliseconds.
    pub(crate) clock_ms: i64,
}

impl Link {
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Ends the watch.
    pub(super) fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// Waits until the connection ends, is given up, or the server no longer fits; says why.
    pub(super) async fn watch(&self, mut ended: JoinHandle<()>, settings: &RedisSettings) -> String {
        loop {
            tokio::select! {
                _ = &mut ended => return "it closed the connection".to_owned(),
                () = self.given_up.notified() => return "a question went unanswered".to_owned(),
                () = tokio::time::sleep(BEAT) => {}
            }
            let asked = tokio::time::timeout(settings.timeout, ask(&mut self.connection())).await;
            let fits = match asked {
                Ok(Ok(standing)) => standing.fits(),
                Ok(Err(why)) => Err(why),
                Err(_) => Err(format!("it did not answer within {:?}", settings.timeout)),
            };
            if let Err(why) = fits {
                return why;
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Standing {
    fn read(info: &str) -> Self {
        let mut standing = Self::default();
        for line in info.lines() {
            let Some((name, value)) = line.trim_end().split_once(':') else { continue };
            let place = match name {
                "run_id" => &mut standing.server,
                "valkey_version" | "redis_version" => &mut standing.version,
                "role" => &mut standing.role,
                "maxmemory_policy" => &mut standing.policy,
                _ => continue,
            };
            *place = value.chars().take(64).collect();
        }
        standing
    }

    /// Whether nonces may be trusted to this server.
    pub(crate) fn fits(&self) -> Result<(), String> {
        if self.server.is_empty() {
            return Err("it does not tell its run_id, so that nobody could see that it lost its data".to_owned());
        }
        if self.role != "master" {
            return Err("it is a replica; name the primary, which alone takes writes".to_owned());
        }
        if self.policy != "noeviction" {
            return Err(format!(
                "its maxmemory-policy is `{}`, so that it may forget a nonce to make room; set `noeviction`",
                self.policy
            ));
        }
        Ok(())
    }
}

/// Connects, says who it is, and looks at the server.
///
/// # Errors
/// A sentence that says why there is no connection.
pub(super) async fn connect(
    settings: &RedisSettings,
    tls: Option<&Connector>,
) -> Result<(Link, JoinHandle<()>), String> {
    let (link, ended, standing) = begin(settings, tls).await?;
    standing.fits()?;
    Ok((link, ended))
}

/// Looks at the server once, whether it fits or not.
///
/// # Errors
/// A sentence that says why it cannot be asked.
pub(crate) async fn look(settings: &RedisSettings) -> Result<Standing, String> {
    let tls = tls::connector(settings).map_err(|e| format!("{e:#}"))?;
    Ok(begin(settings, tls.as_ref()).await?.2)
}

async fn begin(settings: &RedisSettings, tls: Option<&Connector>) -> Result<(Link, JoinHandle<()>, Standing), String> {
    let late = |what: &str| format!("{what} took longer than {:?}", settings.timeout);
    let (connection, ended) =
        tokio::time::timeout(settings.timeout * 2, open(settings, tls)).await.map_err(|_| late("the connection"))??;
    let driver = ended.abort_handle();
    let mut link = Link { connection, server: String::new(), given_up: Notify::new(), driver };
    let mut first = link.connection();
    let asked = tokio::time::timeout(settings.timeout, ask(&mut first)).await;
    let standing = asked.map_err(|_| late("its answer"))??;
    link.server.clone_from(&standing.server);
    Ok((link, ended, standing))
}

async fn open(
    settings: &RedisSettings,
    tls: Option<&Connector>,
) -> Result<(MultiplexedConnection, JoinHandle<()>), String> {
    let stream = TcpStream::connect((settings.host.as_str(), settings.port)).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut who = RedisConnectionInfo::default().set_db(i64::from(settings.database)).set_skip_set_lib_name();
    if let Some(user) = &settings.user {
        who = who.set_username(user);
    }
    if let Some(password) = &settings.password {
        who = who.set_password(password.expose());
    }
    // Every question has a limit of its own.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_pipeline_buffer_size(MOST_WAITING);
    Ok(match tls {
        None => {
            let made = MultiplexedConnection::new_with_config(&who, stream, config).await;
            let (connection, driver) = made.map_err(|e| told(&e))?;
            (connection, tokio::spawn(driver))
        }
        Some(Connector { tls, name }) => {
            let stream = tls.connect(name.clone(), stream).await.map_err(|e| e.to_string())?;
            let made = MultiplexedConnection::new_with_config(&who, stream, config).await;
            let (connection, driver) = made.map_err(|e| told(&e))?;
            (connection, tokio::spawn(driver))
        }
    })
}

/// Asks the server what it is, and what time.
async fn ask(connection: &mut MultiplexedConnection) -> Result<Standing, String> {
    let mut both = redis::pipe();
    both.cmd("INFO").cmd("TIME");
    let answer: Result<(String, (i64, i64)), _> = both.query_async(connection).await;
    let (info, (seconds, micros)) = answer.map_err(|e| told(&e))?;
    let clock_ms = Duration::from_secs(seconds.unsigned_abs()) + Duration::from_micros(micros.unsigned_abs());
    let clock_ms = i64::try_from(clock_ms.as_millis()).unwrap_or(i64::MAX);
    Ok(Standing { clock_ms, ..Standing::read(&info) })
}

/// Whether a connection is of no use any more after this. What a server answers to one question, such as
/// that its memory is full, says nothing about the next.
pub(super) fn is_over(error: &RedisError) -> bool {
    !matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoScript))
        && error.code() != Some("OOM")
}

/// An error in a line of its own. It holds nothing that was asked.
pub(super) fn told(error: &RedisError) -> String {
    error.to_string().chars().filter(|c| !c.is_control()).take(MAX_WHY).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_could_forget_does_not_fit() {
        let info =
            "# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n";
        assert!(Standing::read(info).fits().is_ok());
        for (good, bad) in
            [("noeviction", "volatile-ttl"), ("maxmemory_policy", "x"), ("master", "slave"), ("run_id:abc", "run_id:")]
        {
            assert!(Standing::read(&info.replace(good, bad)).fits().is_err(), "{bad}");
        }
    }
}

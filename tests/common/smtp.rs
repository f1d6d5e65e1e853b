//! A mail server (aiosmtpd, from PyPI) on loopback, with scripted behaviour.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::tool;
use super::wait::find;

const SCRIPT: &str = r#"
import asyncio, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

mode = json.loads(sys.argv[1])
say = lambda what: print(json.dumps(what), flush=True)
trouble = mode.get("trouble", [])

refusals = mode.get("refusals", {})

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        waiting = refusals.get(address, [])
        if waiting:
            answer = waiting.pop(0)
            say({"refused": address, "hello": session.host_name})
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        kind = trouble.pop(0) if trouble else None
        if kind:
            say({"trouble": kind})
        if kind == "busy":
            return "451 4.3.0 come back later"
        if kind == "refused":
            return "554 5.7.1 not with me"
        say({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None, "hello": session.host_name,
             "mail": envelope.content.decode("utf-8", "replace")})
        if mode.get("vanishes"):
            server.transport.abort()
        return "250 taken"

class Server(SMTP):
    async def smtp_DATA(self, arg):
        if trouble and trouble[0] == "drop":
            trouble.pop(0)
            await self.push("354 go on")
            await self._reader.readline()
            say({"trouble": "drop"})
            self.transport.abort()
            return
        if trouble and trouble[0] == "hang":
            trouble.pop(0)
            say({"trouble": "hang"})
            await asyncio.sleep(3600)
        await super().smtp_DATA(arg)

def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"ntp" and data.password == mode["password"].encode()
    say({"login": good})
    return AuthResult(success=good, handled=good)

def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(mode["cert"], mode["key"])
    return made

def server():
    more = {}
    if "cert" in mode and not mode.get("implicit"):
        more.update(tls_context=context(), require_starttls=True)
    if "password" in mode:
        more.update(authenticator=authenticate, auth_required=True, auth_require_tls="cert" in mode)
    return Server(Handler(), hostname="localhost", **more)

async def main():
    listening = await asyncio.get_running_loop().create_server(
        server, "127.0.0.1", 0, ssl=context() if mode.get("implicit") else None)
    say({"port": listening.sockets[0].getsockname()[1]})
    await listening.serve_forever()

asyncio.run(main())
"#;

/// The server; ended when dropped.
pub struct Mail {
    child: Child,
    /// Its output. A file instead of a pipe, so that all output before a reply can be read after the reply.
    said: NamedTempFile,
    pub port: u16,
}

impl Mail {
    /// A server that behaves as `mode` says; `None` without aiosmtpd.
    pub fn start(mode: &Value) -> Option<Self> {
        let Some(python) = tool::python("aiosmtpd", "import aiosmtpd", &[&["aiosmtpd"]]) else {
            tool::may_skip("aiosmtpd");
            return None;
        };
        let mut command = Command::new(python);
        let said = NamedTempFile::new().unwrap();
        command.args(["-c", SCRIPT, &mode.to_string()]).stdin(Stdio::null()).stdout(said.reopen().unwrap());
        let child = command.spawn().unwrap();
        let mut mail = Self { child, said, port: 0 };
        let port = find("the port of the mail server", || mail.said().first().and_then(|first| first["port"].as_u64()));
        mail.port = port.try_into().unwrap();
        Some(mail)
    }

    pub fn said(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.said.path()).unwrap();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for the first accepted mail.
    pub fn first(&self) -> Value {
        find("a mail", || self.taken().into_iter().next())
    }

    /// The accepted mails.
    pub fn taken(&self) -> Vec<Value> {
        self.said().into_iter().filter(|said| said.get("mail").is_some()).collect()
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a self-signed certificate for 127.0.0.1 and its key as files in `dir`.
pub fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    (cert, key)
}

/// A mode with a certificate.
pub fn with_tls(mut mode: Value, (cert, key): &(PathBuf, PathBuf)) -> Value {
    mode["cert"] = json!(cert);
    mode["key"] = json!(key);
    mode
}

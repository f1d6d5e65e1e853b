//! Generates the configuration of the NATS server with the least rights: each vantage has its own account and may
//! publish its samples and its announcement and read its plan, nothing else. The account must not be shared: a client
//! chooses the subject to which the server answers, so it could make the server write into another vantage's plan.
//! Pure.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::link::Names;

/// The contents of the generated file.
#[derive(Debug, Clone)]
pub struct NatsConf {
    pub prefix: String,
    /// The address on which the server listens, such as `0.0.0.0:4222`.
    pub listen: String,
    /// The directory in which the server keeps its streams.
    pub storage: PathBuf,
    pub hubs: Vec<Member>,
    pub vantages: Vec<Member>,
    /// TLS files of the server. With them, users log in with client certificates.
    pub tls: Option<Tls>,
}

/// A user of the server.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    /// The password; `None` when client certificates name the users.
    pub password: Option<String>,
}

/// The files of the server.
#[derive(Debug, Clone)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub ca: Option<PathBuf>,
}

impl NatsConf {
    /// The text of the configuration file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# Made by `ntp-monitor fleet nats-conf`, for nats-server 2.11 or later. Run the command again to add a \
             vantage,\n# then reload the server: nats-server --signal reload.\n",
        );
        let listen = &self.listen;
        let _ = writeln!(text, "listen: {listen:?}\nserver_name: ntpm\nmax_payload: 256K\nwrite_deadline: \"5s\"");
        self.tls(&mut text);
        let _ = writeln!(text, "jetstream {{ store_dir: {:?}, max_mem: 64M, max_file: 8G }}", self.storage);
        text.push_str("accounts {\n  SYS { users: [] }\n");
        self.hub_account(&mut text);
        self.vantages.iter().for_each(|vantage| self.vantage_account(&mut text, vantage));
        text.push_str("}\nsystem_account: SYS\n");
        text
    }

    fn tls(&self, text: &mut String) {
        let Some(tls) = &self.tls else { return };
        let _ = writeln!(text, "tls {{\n  cert_file: {:?}\n  key_file: {:?}\n  timeout: 3", tls.cert, tls.key);
        if let Some(ca) = &tls.ca {
            let _ = writeln!(
                text,
                "  ca_file: {ca:?}\n  verify_and_map: true  # the URI in a client certificate is the user"
            );
        }
        text.push_str("}\n");
    }

    fn hub_account(&self, text: &mut String) {
        let names = Names::new(&self.prefix);
        text.push_str(
            "  NTPM {\n    jetstream { max_mem: 32M, max_file: 6G, max_streams: 8, max_consumers: 4096 }\n    users: [\n",
        );
        for hub in &self.hubs {
            let _ = writeln!(text, "      {{ {}, permissions {{", user("hub", hub));
            list(text, "publish", &hub_publishes(&names, &hub.name));
            list(text, "subscribe", &[format!("_INBOX_{}.>", hub.name), names.plan(&hub.name)]);
            text.push_str("      } }\n");
        }
        text.push_str("    ]\n    exports: [\n");
        let accounts: Vec<String> = self.vantages.iter().map(|vantage| account(&vantage.name)).collect();
        let accounts = accounts.join(", ");
        for service in shared(&names, "*") {
            let _ = writeln!(text, "      {{ service: {service:?}, accounts: [ {accounts} ] }}");
        }
        let _ = writeln!(text, "      {{ stream: {:?}, accounts: [ {accounts} ] }}\n    ]\n  }}", names.plan("*"));
    }

    fn vantage_account(&self, text: &mut String, vantage: &Member) {
        let (names, name) = (Names::new(&self.prefix), &vantage.name);
        let services = shared(&names, name);
        let _ = writeln!(text, "  {} {{\n    limits {{ max_connections: 4, max_subscriptions: 16 }}", account(name));
        let _ = writeln!(text, "    users: [ {{ {}, permissions {{", user("vantage", vantage));
        list(text, "publish", &services);
        list(text, "subscribe", &[format!("_INBOX_{name}.>"), names.plan(name)]);
        text.push_str("    } } ]\n    imports: [\n");
        for service in services {
            let _ = writeln!(text, "      {{ service: {{ account: NTPM, subject: {service:?} }} }}");
        }
        let _ = writeln!(text, "      {{ stream: {{ account: NTPM, subject: {:?} }} }}\n    ]\n  }}", names.plan(name));
    }
}

fn user(kind: &str, member: &Member) -> String {
    match &member.password {
        Some(password) => format!("user: {:?}, password: {password:?}", member.name),
        None => format!("user: \"ntpm://{kind}/{}\"", member.name),
    }
}

/// The account of a vantage. The prefix is needed because the name of an account cannot begin with a hyphen.
fn account(vantage: &str) -> String {
    format!("V_{vantage}")
}

fn list(text: &mut String, what: &str, subjects: &[String]) {
    let _ = writeln!(text, "        {what} {{ allow: [");
    for subject in subjects {
        let _ = writeln!(text, "          {subject:?}");
    }
    text.push_str("        ] }\n");
}

/// The subjects that a vantage may publish to.
fn shared(names: &Names, vantage: &str) -> Vec<String> {
    let (plans, presence) = (names.plans(), names.presence());
    let get = match vantage {
        "*" => format!("$JS.API.DIRECT.GET.KV_{plans}.>"),
        name => Names::get(&plans, name),
    };
    vec![names.samples(vantage), Names::put(&presence, vantage), get]
}

fn hub_publishes(names: &Names, hub: &str) -> Vec<String> {
    let (samples, presence, plans, lease) = (names.stream(), names.presence(), names.plans(), names.lease());
    let streams = [samples.clone(), format!("KV_{presence}"), format!("KV_{plans}"), format!("KV_{lease}")];
    let mut all: Vec<String> = streams
        .iter()
        .flat_map(|stream| ["INFO", "CREATE"].map(|verb| format!("$JS.API.STREAM.{verb}.{stream}")))
        .collect();
    // A consumer for each vantage.
    all.push(format!("$JS.API.CONSUMER.CREATE.{samples}.*.{}", names.samples("*")));
    all.extend(["DELETE", "INFO", "MSG.NEXT"].map(|verb| format!("$JS.API.CONSUMER.{verb}.{samples}.*")));
    all.extend([
        format!("$JS.API.CONSUMER.CREATE.KV_{presence}"),
        format!("$JS.API.CONSUMER.CREATE.KV_{presence}.>"),
        format!("$JS.API.CONSUMER.DELETE.KV_{presence}.>"),
        format!("$JS.API.CONSUMER.INFO.KV_{presence}.>"),
        format!("$JS.API.DIRECT.GET.KV_{plans}.>"),
        format!("$JS.API.DIRECT.GET.KV_{lease}.>"),
        Names::put(&plans, "*"),
        Names::put(&lease, "leader"),
        // A hub that also measures is a vantage of the same name.
        names.samples(hub),
        Names::put(&presence, hub),
        "$JS.FC.>".to_owned(),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, password: Option<&str>) -> Member {
        Member { name: name.to_owned(), password: password.map(str::to_owned) }
    }

    fn conf(password: Option<&str>, tls: Option<Tls>) -> String {
        let conf = NatsConf {
            prefix: "ntpm".into(),
            listen: "0.0.0.0:4222".into(),
            storage: "/var/lib/nats".into(),
            hubs: vec![member("hub1", password)],
            vantages: vec![member("ams", password), member("ber-2", password)],
            tls,
        };
        conf.text()
    }

    #[test]
    fn each_vantage_has_an_account_with_its_own_subjects_only() {
        let text = conf(Some("secret"), None);
        let ams = text.split("  V_ams {").nth(1).unwrap().split("\n  V_ber-2 {").next().unwrap();
        assert!(ams.contains("\"ntpm.samples.ams\"") && !ams.contains("ber"), "{ams}");
        assert!(ams.contains("\"$JS.API.DIRECT.GET.KV_NTPM_PLAN.$KV.NTPM_PLAN.ams\""), "{ams}");
        assert!(text.contains("accounts: [ V_ams, V_ber-2 ]"), "{text}");
    }

    #[test]
    fn client_certificates_take_the_place_of_passwords() {
        let tls = Tls { cert: "/c".into(), key: "/k".into(), ca: Some("/a".into()) };
        let text = conf(None, Some(tls));
        assert!(text.contains("user: \"ntpm://vantage/ams\"") && text.contains("verify_and_map: true"), "{text}");
        assert!(!text.contains("password"));
    }
}

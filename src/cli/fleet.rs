//! `ntp-monitor fleet`: prepares files that a fleet needs in addition to the service.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::config::is_vantage_name;
use crate::fleet::nats_conf::{Member, NatsConf, Tls};
use crate::new_file::NewFile;

const EXAMPLE: &str = "\
Example:
  ntp-monitor fleet nats-conf --hub hub1 --vantage ams --vantage ber --dir fleet
  nats-server -c fleet/nats.conf

Each user's password is in DIR/NAME.password; copy it to that host only, and name it in [nats] password_file. Passwords \
that exist are kept, so run the command again to add a vantage. With --ca the users are client certificates instead: the \
certificate of vantage ams has the URI ntpm://vantage/ams as subject alternative name, that of hub1 ntpm://hub/hub1.";

/// Commands for a fleet.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Write the configuration of the NATS server, with one account for each vantage.
    #[command(after_help = EXAMPLE)]
    NatsConf(NatsConfArgs),
}

/// Arguments of `fleet nats-conf`.
#[derive(Debug, Args)]
pub struct NatsConfArgs {
    /// Name of a hub; repeat for each.
    #[arg(long = "hub", value_name = "NAME", required = true)]
    hubs: Vec<String>,
    /// Name of a vantage; repeat for each.
    #[arg(long = "vantage", value_name = "NAME", required = true)]
    vantages: Vec<String>,
    /// Where to write nats.conf and the passwords.
    #[arg(long, value_name = "DIR", default_value = "fleet")]
    dir: PathBuf,
    /// Where the server listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:4222")]
    listen: String,
    /// Where the server keeps its data.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/nats")]
    storage: PathBuf,
    /// First part of every subject, as nats.prefix.
    #[arg(long, value_name = "NAME", default_value = "ntpm")]
    prefix: String,
    /// Certificate of the server (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Authority of the client certificates (PEM). Users then need a certificate, and no passwords are created.
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,
}

/// Runs a command.
///
/// # Errors
/// The failed step, as a message for people.
pub fn run(command: &FleetCommand, out: &mut impl Write) -> Result<(), String> {
    match command {
        FleetCommand::NatsConf(args) => nats_conf(args, out),
    }
}

fn nats_conf(args: &NatsConfArgs, out: &mut impl Write) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in args.hubs.iter().chain(&args.vantages) {
        if !is_vantage_name(name) {
            return Err(format!("{name:?} cannot name a vantage: use lower-case letters, digits, \"_\" and \"-\""));
        }
        if !seen.insert(name) {
            return Err(format!("{name:?} is given twice"));
        }
    }
    std::fs::create_dir_all(&args.dir).map_err(|why| format!("cannot create {}: {why}", args.dir.display()))?;
    let has_passwords = args.ca.is_none();
    let member = |name: &String| {
        let password = has_passwords.then(|| password(&args.dir, name)).transpose()?;
        Ok(Member { name: name.clone(), password })
    };
    let members = |names: &[String]| names.iter().map(member).collect::<Result<Vec<_>, String>>();
    let tls = args.cert.clone().zip(args.key.clone());
    let conf = NatsConf {
        prefix: args.prefix.clone(),
        listen: args.listen.clone(),
        storage: args.storage.clone(),
        hubs: members(&args.hubs)?,
        vantages: members(&args.vantages)?,
        tls: tls.map(|(cert, key)| Tls { cert, key, ca: args.ca.clone() }),
    };
    let file = args.dir.join("nats.conf");
    write(&file, &conf.text())?;
    let more = if has_passwords { ", and next to it a password for each user" } else { "" };
    let encrypted = if args.cert.is_some() {
        ""
    } else {
        "\nwithout --cert and --key, passwords are sent over the network in clear text"
    };
    writeln!(out, "wrote {}{more}{encrypted}", file.display()).map_err(|why| why.to_string())
}

/// The password of a user: the one in its file, or a new one.
fn password(dir: &Path, name: &str) -> Result<String, String> {
    let file = dir.join(format!("{name}.password"));
    if let Ok(known) = std::fs::read_to_string(&file) {
        return Ok(known.trim().to_owned());
    }
    let password = format!("{:032x}", rand::random::<u128>());
    write(&file, &format!("{password}\n"))?;
    Ok(password)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = NewFile::begin(path, 0o600).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.finish(true)
    });
    written.map_err(|why| format!("cannot write {}: {why}", path.display()))
}

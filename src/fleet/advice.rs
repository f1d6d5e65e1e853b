//! What an error of NATS means, and what to do about it.

/// Why there is no connection.
#[must_use]
pub fn connection(error: &str) -> String {
    let has = |part: &str| error.contains(part);
    let advice = if has("authorization violation") || has("Authorization Violation") {
        "the server rejects the user: check user and password_file, or that the client certificate names a user of the \
         server's configuration"
    } else if has("certificate expired") || has("Expired") {
        "a certificate has expired, or this host's clock is wrong: compare the clock first (ntp-monitor query)"
    } else if has("not valid yet") || has("NotValidYet") {
        "a certificate is not valid yet, or this host's clock is wrong: compare the clock first (ntp-monitor query)"
    } else if has("UnknownIssuer") || has("BadSignature") {
        "the certificate of the server is not signed by an authority that is trusted here: set nats.tls.ca"
    } else if has("UnknownCA") {
        "the server does not trust the authority of this client certificate: nats.tls.cert must be signed by the one that \
         ca_file of nats.conf names"
    } else if has("CertificateRequired") || has("certificate required") {
        "the server requires a client certificate: set nats.tls.cert and nats.tls.key"
    } else if has("NotValidForName") || has("not valid for name") {
        "the certificate of the server is for another name than the one in nats.url"
    } else if has("InvalidContentType") || has("corrupt message") {
        "the server does not speak TLS at this port, or expects it before its greeting (handshake_first)"
    } else if has("onnection refused") {
        "nothing listens there: start nats-server, or correct nats.url"
    } else if has("tls") && has("required") {
        "the server offers no TLS, and without it the password would be readable: configure tls in nats.conf"
    } else {
        return format!("cannot connect to NATS: {error}");
    };
    format!("cannot connect to NATS: {advice} ({error})")
}

/// The server is older than this program supports.
#[must_use]
pub fn too_old(version: &str) -> String {
    format!(
        "the NATS server has version {version}, and 2.11 or later is needed: older ones ignore limits that protect the \
         fleet. Debian 12 has 2.9.10; take a current release from nats.io"
    )
}

/// The server's JetStream is off.
pub const NO_JETSTREAM: &str = "JetStream is off: add a jetstream block to nats.conf, and to the account of the hub";

/// What a failed request means. `complaint` is what the server reported beside it, which alone names a missing right.
#[must_use]
pub fn request(error: &str, complaint: Option<&str>) -> String {
    if let Some(complaint) = complaint.filter(|text| text.to_ascii_lowercase().contains("permissions violation")) {
        return format!(
            "the user of this instance lacks a right, {complaint}: generate nats.conf again with `ntp-monitor fleet \
             nats-conf` and reload the server"
        );
    }
    const CODES: [(&[&str], &str); 12] = [
        (&["10077"], "the stream is full: a hub must read it, or raise its max_bytes"),
        (&["10002"], "the account has no storage left: raise max_file of its jetstream block in nats.conf"),
        (&["10047"], "the server has no storage left: raise max_file in nats.conf, or free its disk"),
        (&["10054", "MaxPayloadExceeded"], "the message is larger than the server accepts: set max_payload to 256K"),
        (&["10039", "10076"], NO_JETSTREAM),
        (&["10014"], "the hub's consumer is gone; it is created again"),
        (
            &["Consumer Deleted"],
            "the consumer of this hub was deleted: another hub has the same fleet.name, give each hub a name of its own; \
             or the stream was deleted, and is created again",
        ),
        (&["10026"], "the account has no consumer left: raise max_consumers in nats.conf"),
        (&["10027"], "the account has no stream left: raise max_streams in nats.conf"),
        (&["10058"], "the stream exists with other settings: delete it with `nats stream rm`, agents send again"),
        (
            &["10059", "no stream found", "no responders"],
            "there is no stream: start a hub, which creates it; while a \
          cluster elects a leader this passes by itself",
        ),
        (&["10074"], "several replicas need a cluster of servers: set nats.replicas to 1"),
    ];
    for (signs, advice) in CODES {
        if signs.iter().any(|sign| error.contains(sign)) {
            return format!("{advice} ({error})");
        }
    }
    if error.contains("timed out") || error.contains("TimedOut") {
        return format!(
            "no answer in time: the link is slow, the cluster has no quorum, or its disk is full ({error})"
        );
    }
    error.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_failure_has_a_sentence() {
        for (error, part) in [
            ("io error: authorization violation", "user and password_file"),
            ("invalid peer certificate: UnknownIssuer", "nats.tls.ca"),
            ("invalid peer certificate: BadSignature", "nats.tls.ca"),
            ("received fatal alert: CertificateRequired", "nats.tls.cert"),
            ("invalid peer certificate: certificate expired: verification time", "this host's clock"),
            ("received corrupt message of type InvalidContentType", "handshake_first"),
            ("IO error: Connection refused (os error 111)", "start nats-server"),
        ] {
            assert!(connection(error).contains(part), "{error}");
        }
        for (error, part) in [
            ("error code 10077", "the stream is full"),
            ("error code 10039", "JetStream is off"),
            ("error code 10074", "nats.replicas"),
            ("no stream found for given subject", "start a hub"),
            ("timed out: didn't receive ack in time", "quorum"),
            (
                "error while processing messages from the stream: 409, Some(\"Consumer Deleted\")",
                "each hub a name of its own",
            ),
        ] {
            assert!(request(error, None).contains(part), "{error}");
        }
        let complaint = "Permissions Violation for Publish to \"ntpm.samples.ams\"";
        assert!(request("timed out", Some(complaint)).contains("ntpm.samples.ams"));
        assert!(too_old("2.9.10").contains("2.11 or later"));
    }
}

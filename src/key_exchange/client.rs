//! One key exchange: connect, agree on TLS 1.3 and `ntske/1`, send one request, read one answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor_core::nts::record::{PROTOCOL_NAME, request};
use ntp_monitor_core::nts::{Agreement, Certificate, Keys, Reader, RecordFault};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fault::ExchangeFault;
use super::recorder::Recorder;
use super::trust::Trust;

/// Key exchanges that run at a time in this process. One takes about a millisecond of processor time, and thousands of
/// servers may start together.
const AT_A_TIME: usize = 16;
const READ_LEN: usize = 4096;

/// The server of a key exchange.
#[derive(Debug, Clone)]
pub struct Target {
    /// The addresses to connect to, tried in this order.
    pub addresses: Vec<SocketAddr>,
    /// The name or address that the certificate must be for.
    pub name: String,
    /// Authorities to trust in addition to those of the system, in PEM.
    pub ca_pem: Option<Arc<str>>,
}

/// The result of a successful key exchange.
#[derive(Debug)]
pub struct Established {
    pub keys: Keys,
    pub agreement: Agreement,
    /// The address of the key-exchange server.
    pub address: SocketAddr,
}

/// A key exchange that has ended.
#[derive(Debug)]
pub struct Exchange {
    pub result: Result<Established, ExchangeFault>,
    /// The certificates that the server sent, its own first, even if they were refused.
    pub chain: Vec<Certificate>,
    /// How long it took, without the wait for other key exchanges.
    pub took: Duration,
}

/// Lets [`AT_A_TIME`] key exchanges run; the others wait in order of arrival.
struct Turns(Semaphore);

impl Turns {
    const fn new() -> Self {
        Self(Semaphore::const_new(AT_A_TIME))
    }

    async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        // The semaphore is never closed, so acquiring cannot fail.
        let _turn = self.0.acquire().await;
        work.await
    }
}

/// Exchanges keys with `target` within `timeout`.
pub async fn exchange(target: &Target, trust: &Trust, timeout: Duration) -> Exchange {
    static TURNS: Turns = Turns::new();
    TURNS.run(exchange_now(target, trust, timeout)).await
}

async fn exchange_now(target: &Target, trust: &Trust, timeout: Duration) -> Exchange {
    let begun = Instant::now();
    let (result, chain) = match Attempt::new(target, trust) {
        Ok(mut attempt) => {
            let ended = tokio::time::timeout(timeout, attempt.run(target)).await;
            let late = ExchangeFault::Timeout { seconds: timeout.as_secs(), stage: attempt.stage };
            (ended.unwrap_or(Err(late)), attempt.recorder.chain())
        }
        Err(fault) => (Err(fault), Vec::new()),
    };
    Exchange { result, chain, took: begun.elapsed() }
}

struct Attempt {
    recorder: Arc<Recorder>,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// The current step, for the text of a fault.
    stage: &'static str,
}

impl Attempt {
    fn new(target: &Target, trust: &Trust) -> Result<Self, ExchangeFault> {
        let roots = trust.roots(target.ca_pem.as_ref()).map_err(ExchangeFault::Trust)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = |why: &dyn std::fmt::Display| ExchangeFault::Tls(why.to_string());
        let recorder = Arc::new(Recorder::new(roots, Arc::clone(&provider)).map_err(|why| tls(&why))?);
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
        let verified = builder.map_err(|why| tls(&why))?.dangerous().with_custom_certificate_verifier(
            // The recorder delegates the decision to the verifier of rustls.
            Arc::clone(&recorder) as Arc<dyn rustls::client::danger::ServerCertVerifier>,
        );
        let mut config = verified.with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL_NAME.to_vec()];
        // No session resumption, because a resumed session shows no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from(target.name.trim_end_matches('.').to_owned());
        let name = name.map_err(|_| ExchangeFault::Dns(format!("{:?} is not the name of a host", target.name)))?;
        Ok(Self { recorder, config: Arc::new(config), name, stage: "connecting" })
    }

    async fn run(&mut self, target: &Target) -> Result<Established, ExchangeFault> {
        let (tcp, address) = self.connect(&target.addresses).await?;
        self.stage = "during the TLS handshake";
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connected = connector.connect(self.name.clone(), tcp).await;
        let mut stream = connected.map_err(|error| ExchangeFault::of(&error, self.stage))?;
        if stream.get_ref().1.alpn_protocol() != Some(PROTOCOL_NAME) {
            return Err(ExchangeFault::NoProtocol);
        }
        self.stage = "before its answer was complete";
        let agreement = self.ask(&mut stream).await?;
        let keys = export(&stream, &agreement)?;
        // The answer is complete, so errors at the end are ignored.
        let _ = stream.shutdown().await;
        Ok(Established { keys, agreement, address })
    }

    async fn connect(&self, addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), ExchangeFault> {
        let mut fault = ExchangeFault::Dns("the server has no address".to_owned());
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok((stream, *address)),
                Err(error) => fault = ExchangeFault::of(&error, self.stage),
            }
        }
        Err(fault)
    }

    async fn ask(&self, stream: &mut TlsStream<TcpStream>) -> Result<Agreement, ExchangeFault> {
        let failed = |error: std::io::Error| ExchangeFault::of(&error, self.stage);
        stream.write_all(&request()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let mut reader = Reader::default();
        let mut octets = vec![0; READ_LEN];
        loop {
            let len = stream.read(&mut octets).await.map_err(failed)?;
            if len == 0 {
                return Err(RecordFault::Truncated.into());
            }
            if let Some(agreement) = reader.push(&octets[..len])? {
                return Ok(agreement);
            }
        }
    }
}

fn export(stream: &TlsStream<TcpStream>, agreement: &Agreement) -> Result<Keys, ExchangeFault> {
    let connection = stream.get_ref().1;
    let keys = Keys::export(agreement.aead, |octets, context| {
        connection.export_keying_material(octets, Keys::EXPORTER_LABEL, Some(context)).is_ok()
    });
    keys.ok_or_else(|| ExchangeFault::Tls("the keys could not be derived".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    /// In simulated time, with a key exchange that takes 50 ms and fails at its deadline for every hundredth server.
    #[tokio::test(start_paused = true)]
    async fn ten_thousand_servers_exchange_keys_sixteen_at_a_time() {
        const SERVERS: u64 = 10_000;
        let (turns, running) = (Arc::new(Turns::new()), Arc::new(AtomicUsize::new(0)));
        let begun = Instant::now();
        let mut exchanges = JoinSet::new();
        for server in 0..SERVERS {
            let (turns, running) = (Arc::clone(&turns), Arc::clone(&running));
            let took = if server % 100 == 0 { Duration::from_secs(5) } else { Duration::from_millis(50) };
            exchanges.spawn(async move {
                let work = async {
                    let at_once = running.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::time::sleep(took).await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    at_once
                };
                turns.run(work).await
            });
        }
        let at_once = exchanges.join_all().await;
        assert_eq!((at_once.len(), at_once.iter().max()), (SERVERS as usize, Some(&AT_A_TIME)));
        // 100 servers of 5 s and 9,900 of 50 ms, shared by sixteen.
        let least = Duration::from_millis(100 * 5_000 + 9_900 * 50) / AT_A_TIME as u32;
        assert!((least..least + Duration::from_secs(5)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

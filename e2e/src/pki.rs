//! The certificates of a mesh and of the origins behind it, made anew at every start and never
//! committed.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The SPIFFE ID of the waypoint, which every pod expects at the other end of HBONE.
pub const WAYPOINT_SPIFFE_ID: &str = "spiffe://cluster.local/ns/egress-direct/sa/egress";

/// The SPIFFE ID of team-a's client pod.
pub const TEAM_A_SPIFFE_ID: &str = "spiffe://cluster.local/ns/team-a/sa/team-a";

/// The SPIFFE ID of team-b's client pod.
pub const TEAM_B_SPIFFE_ID: &str = "spiffe://cluster.local/ns/team-b/sa/team-b";

/// One entry of a certificate's subject alternative names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum San {
    /// A URI, as in a SPIFFE certificate; any ASCII text, so that garbage can be tried.
    Uri(String),
    /// A DNS name.
    Dns(String),
}

impl San {
    fn to_rcgen(&self) -> SanType {
        let ascii = |text: &String| {
            text.as_str()
                .try_into()
                .unwrap_or_else(|error| panic!("a SAN must be ASCII, `{text}` is not: {error}"))
        };
        match self {
            Self::Uri(uri) => SanType::URI(ascii(uri)),
            Self::Dns(name) => SanType::DnsName(ascii(name)),
        }
    }
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct Credentials {
    certificate: rcgen::Certificate,
    key_pem: String,
    key_der: Vec<u8>,
    namespace: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// The namespace of the pod, if the first name is a SPIFFE ID as Istio makes them.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key as PEM, in PKCS#8.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The certificate as DER.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    /// The private key as DER, in PKCS#8.
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.clone()).into()
    }

    /// Writes `<name>.pem` and `<name>.key` into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{name}.pem")), self.certificate_pem())?;
        let mut options = fs::OpenOptions::new();
        let mut key = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(folder.join(format!("{name}.key")))?;
        key.write_all(self.key_pem.as_bytes())
    }
}

/// A certificate authority that issues from memory.
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority with a key of its own.
    pub fn new(common_name: &str) -> Self {
        let key = new_key();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate =
            params.self_signed(&key).expect("a self-signed certificate from fixed parameters");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Issues a certificate, for either end of a connection, with the given names (none is
    /// allowed).
    pub fn issue(&self, common_name: &str, names: &[San]) -> Credentials {
        let key = new_key();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names.iter().map(San::to_rcgen).collect();
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate =
            params.signed_by(&key, &self.issuer).expect("a certificate from checked names");
        let namespace = match names {
            [San::Uri(id), ..] => {
                id.split_once("/ns/").and_then(|(_, rest)| rest.split('/').next())
            }
            _ => None,
        };
        let is_label = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        Credentials {
            certificate,
            key_pem: key.serialize_pem(),
            key_der: key.serialize_der(),
            namespace: namespace.filter(is_label).map(str::to_owned),
        }
    }

    /// The authority's own certificate as PEM, which is what trusts it.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The authority's private key as PEM, in PKCS#8, for who else signs with it.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The authority's own certificate as DER.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a new P-256 key")
}

/// All authorities of one local waypoint, and the waypoint's own certificate.
#[derive(Debug)]
pub struct Pki {
    /// Signs the waypoint and every caller that the waypoint accepts.
    pub mesh: Authority,
    /// Signs callers of some other mesh, which the waypoint does not know.
    pub unknown: Authority,
    /// Signs the origins that the waypoint trusts.
    pub origins: Authority,
    /// Signs origins that the waypoint must not trust.
    pub wrong_origins: Authority,
    /// Signs the clients that an origin knows, where it insists on a certificate.
    pub clients: Authority,
    /// The waypoint's certificate, with [`WAYPOINT_SPIFFE_ID`].
    pub waypoint: Credentials,
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Pki {
    /// Makes the authorities and the waypoint's certificate.
    pub fn new() -> Self {
        let mesh = Authority::new("mesh");
        let waypoint = mesh.issue("waypoint", &[San::Uri(WAYPOINT_SPIFFE_ID.to_owned())]);
        Self {
            waypoint,
            mesh,
            unknown: Authority::new("another mesh"),
            origins: Authority::new("origins"),
            wrong_origins: Authority::new("untrusted origins"),
            clients: Authority::new("clients of origins"),
        }
    }

    /// A caller of the mesh with one URI SAN.
    pub fn caller(&self, spiffe_id: &str) -> Credentials {
        self.caller_with(&[San::Uri(spiffe_id.to_owned())])
    }

    /// A caller of the mesh with any names, or none.
    pub fn caller_with(&self, names: &[San]) -> Credentials {
        self.mesh.issue("caller", names)
    }

    /// A caller with a good SPIFFE ID from an authority that the waypoint does not know.
    pub fn unknown_caller(&self, spiffe_id: &str) -> Credentials {
        self.unknown.issue("caller", &[San::Uri(spiffe_id.to_owned())])
    }

    /// Writes what Envoy reads: `mesh-ca.pem`, `origin-ca.pem`, and `waypoint`, `team-a`, `team-b`
    /// with their keys.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("mesh-ca.pem"), self.mesh.certificate_pem())?;
        fs::write(folder.join("origin-ca.pem"), self.origins.certificate_pem())?;
        self.waypoint.write(folder, "waypoint")?;
        self.caller(TEAM_A_SPIFFE_ID).write(folder, "team-a")?;
        self.caller(TEAM_B_SPIFFE_ID).write(folder, "team-b")
    }
}

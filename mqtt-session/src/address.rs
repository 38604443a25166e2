//! Where a server is, as people write it down.

use alloc::{
    borrow::ToOwned,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    fmt,
    net::{Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// The host and port of a server, and the user name and password that a URL may carry.
///
/// ```
/// # use mqtt_session::ServerAddress;
/// let address: ServerAddress = "mqtt://user:secret@broker.example".parse()?;
/// assert_eq!((address.host(), address.port()), ("broker.example", 1883));
/// assert_eq!(address, ServerAddress::new("broker.example", 1883)?.with_user("user",
/// Some(b"secret")));
/// # Ok::<_, mqtt_session::AddressError>(())
/// ```
///
/// Read from `host`, `host:port` or `mqtt://[user[:password]@]host[:port]`, with an IPv6 address
/// in brackets. User name and password may be percent-encoded. Shown without either of them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
    user_name: Option<String>,
    password: Option<Vec<u8>>,
}

/// The port registered for MQTT over TCP.
const DEFAULT_PORT: u16 = 1883;

impl ServerAddress {
    /// A host name or an IP address (without brackets), and a port.
    ///
    /// # Errors
    /// [`AddressError`] if either of them cannot be one.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        if host.parse::<Ipv6Addr>().is_err() {
            check_host(host)?;
        }
        if port == 0 {
            return Err(AddressError::Port("0".to_owned()));
        }
        Ok(Self { host: host.to_owned(), port, user_name: None, password: None })
    }

    /// With a user name and perhaps a password.
    #[must_use]
    pub fn with_user(mut self, user_name: &str, password: Option<&[u8]>) -> Self {
        self.user_name = Some(user_name.to_owned());
        self.password = password.map(<[u8]>::to_vec);
        self
    }

    /// A host name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// 1883 where none was given.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Percent-decoded.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.user_name.as_deref()
    }

    /// Percent-decoded; any bytes.
    #[must_use]
    pub fn password(&self) -> Option<&[u8]> {
        self.password.as_deref()
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) => {
                check_scheme(scheme)?;
                rest
            }
            None => text,
        };
        // [RFC 3986, section 3.2] The authority ends at the first of these; nothing of use
        // follows it.
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if path.contains('@') {
            // A slash in a password, most likely: not to be shown.
            return Err(AddressError::PercentEncoding);
        }
        if !matches!(path, "" | "/") {
            return Err(AddressError::Path(path.to_owned()));
        }
        let (user, host_port) = match authority.rsplit_once('@') {
            Some((user, host_port)) => (Some(user), host_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port)?;
        let mut address = Self::new(host, port)?;
        if let Some(user) = user {
            let (name, password) = match user.split_once(':') {
                Some((name, password)) => (name, Some(password)),
                None => (user, None),
            };
            let name = String::from_utf8(percent_decode(name)?);
            address.user_name = Some(name.map_err(|_| AddressError::PercentEncoding)?);
            address.password = password.map(percent_decode).transpose()?;
        }
        Ok(address)
    }
}

impl TryFrom<&str> for ServerAddress {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for ServerAddress {
    type Error = AddressError;

    fn try_from(text: &String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<(&str, u16)> for ServerAddress {
    type Error = AddressError;

    fn try_from((host, port): (&str, u16)) -> Result<Self, AddressError> {
        Self::new(host, port)
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self { host, port, user_name: None, password: None }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAddress")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .finish()
    }
}

/// Why a text is no address of a server. The caller's fault. Never shows a user name or password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A transport that exists, but not here.
    #[error("{0}:// is not supported yet; only mqtt:// (MQTT over TCP) is")]
    NotSupported(String),
    /// Something else before `://`.
    #[error("{0:?} is not a scheme for MQTT; write mqtt://host:port or host:port")]
    Scheme(String),
    /// Empty, or with a character that no host name has.
    #[error("{0:?} is not a host name or IP address")]
    Host(String),
    /// More colons than a host and a port need.
    #[error("{0:?} has too many colons; write an IPv6 address in brackets: [::1]:1883")]
    Brackets(String),
    /// Not a number from 1 to 65,535.
    #[error("{0:?} is not a port; it is a number from 1 to 65535")]
    Port(String),
    /// MQTT over TCP has nothing to say after the port.
    #[error("{0:?} cannot follow the host and port")]
    Path(String),
    /// A `%` without two hexadecimal digits, or a user name that is not UTF-8 once it is decoded.
    #[error("the user name or password is not percent-encoded UTF-8")]
    PercentEncoding,
}

fn check_scheme(scheme: &str) -> Result<(), AddressError> {
    let lower = scheme.to_ascii_lowercase();
    match lower.as_str() {
        "mqtt" => Ok(()),
        "mqtts" | "ssl" | "tls" | "ws" | "wss" | "quic" | "unix" => {
            Err(AddressError::NotSupported(lower))
        }
        _ => Err(AddressError::Scheme(scheme.to_owned())),
    }
}

fn check_host(host: &str) -> Result<(), AddressError> {
    // What the resolver makes of it is its own affair; here only what can be no name at all.
    let legal = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !host.chars().all(legal) {
        return Err(AddressError::Host(host.to_owned()));
    }
    Ok(())
}

fn split_port(text: &str) -> Result<(&str, u16), AddressError> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let bad = || AddressError::Host(text.to_owned());
            let (host, rest) = inner.split_once(']').ok_or_else(bad)?;
            host.parse::<Ipv6Addr>().map_err(|_| bad())?;
            (host, rest)
        }
        None if text.matches(':').count() > 1 => {
            return Err(AddressError::Brackets(text.to_owned()));
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if rest.is_empty() {
        return Ok((host, DEFAULT_PORT));
    }
    let digits = rest.strip_prefix(':').ok_or_else(|| AddressError::Host(text.to_owned()))?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
    match number.flatten() {
        Some(port) => Ok((host, port)),
        None => Err(AddressError::Port(digits.to_owned())),
    }
}

fn percent_decode(text: &str) -> Result<Vec<u8>, AddressError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || Some(char::from(bytes.next()?).to_digit(16)? as u8);
        decoded.push(match byte {
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(AddressError::PercentEncoding),
            },
            _ => byte,
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        fn check(text: &str, host: &str, port: u16, user: Option<(&str, Option<&[u8]>)>) {
            let mut expected = ServerAddress::new(host, port).expect(text);
            if let Some((name, password)) = user {
                expected = expected.with_user(name, password);
            }
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        check("localhost", "localhost", 1883, None);
        check("localhost:1884", "localhost", 1884, None);
        check("127.0.0.1:65535", "127.0.0.1", 65535, None);
        check("[::1]", "::1", 1883, None);
        check("[::1]:1885", "::1", 1885, None);
        check("mqtt://broker.example", "broker.example", 1883, None);
        check("MQTT://broker.example/", "broker.example", 1883, None);
        check("mqtt://[fe80::1]:1", "fe80::1", 1, None);
        check("mqtt://bücher.example", "bücher.example", 1883, None);
        check("mqtt://me@host", "host", 1883, Some(("me", None)));
        check("mqtt://me:@host", "host", 1883, Some(("me", Some(b""))));
        check("mqtt://me:a:b@host:2", "host", 2, Some(("me", Some(b"a:b"))));
        check("mqtt://m%40e:%00%ff%2F@host", "host", 1883, Some(("m@e", Some(b"\0\xff/"))));
        check("mqtt://:p@[::1]", "::1", 1883, Some(("", Some(b"p"))));
        check("mqtt://user@mail:p@host", "host", 1883, Some(("user@mail", Some(b"p"))));
    }

    #[test]
    fn not_addresses() {
        use AddressError::*;
        type Row = (&'static str, fn(String) -> AddressError, &'static str);
        let rows: &[Row] = &[
            ("mqtts://host", NotSupported, "mqtts"),
            ("WS://host", NotSupported, "ws"),
            ("wss://host/mqtt", NotSupported, "wss"),
            ("http://host", Scheme, "http"),
            ("://host", Scheme, ""),
            ("", Host, ""),
            ("mqtt://", Host, ""),
            (":1883", Host, ""),
            ("two words", Host, "two words"),
            ("[::1", Host, "[::1"),
            ("[host]:1", Host, "[host]:1"),
            ("[::1]1883", Host, "[::1]1883"),
            ("::1", Brackets, "::1"),
            ("host:1:2", Brackets, "host:1:2"),
            ("host:", Port, ""),
            ("host:0", Port, "0"),
            ("host:65536", Port, "65536"),
            ("host:+1", Port, "+1"),
            ("host:mqtt", Port, "mqtt"),
            ("mqtt://host/topic", Path, "/topic"),
            ("mqtt://host?x", Path, "?x"),
            ("mqtt://%4@host", |_| PercentEncoding, ""),
            ("mqtt://me:%zz@host", |_| PercentEncoding, ""),
            ("mqtt://%ff@host", |_| PercentEncoding, ""),
            ("mqtt://me:sec/ret@host", |_| PercentEncoding, ""),
        ];
        for (text, error, shown) in rows {
            assert_eq!(text.parse::<ServerAddress>(), Err(error((*shown).to_owned())), "{text}");
        }
    }

    #[test]
    fn shown_without_secrets() {
        let address: ServerAddress = "mqtt://me:secret@[::1]:7".parse().expect("an address");
        assert_eq!(address.to_string(), "[::1]:7");
        assert!(!alloc::format!("{address:?}").contains("secret"));
        let error = "mqtt://me:secret@ho st".parse::<ServerAddress>().expect_err("no address");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

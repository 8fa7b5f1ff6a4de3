//! Every header that repeats a part of the body, in every combination of ways to say it: only those that say the same pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use toolgate_gateway::wire::call::ToolCall;
use toolgate_gateway::wire::era;
use toolgate_gateway::wire::message::Message;
use toolgate_gateway::wire::parameters::{self, Declarations, Declared, ParameterError, TOOLS_MAX};
use toolgate_policy::json;

/// A way to say a value in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Absent,
    Equal,
    Padded,
    Encoded,
    Different,
    OtherCase,
    Empty,
    Twice,
    TwiceDifferent,
    MisEncoded,
    EncodedOther,
    WrongMarker,
}

impl Way {
    const ALL: [Self; 12] = [
        Self::Absent,
        Self::Equal,
        Self::Padded,
        Self::Encoded,
        Self::Different,
        Self::OtherCase,
        Self::Empty,
        Self::Twice,
        Self::TwiceDifferent,
        Self::MisEncoded,
        Self::EncodedOther,
        Self::WrongMarker,
    ];

    fn values(self, value: &str) -> Vec<String> {
        let encoded = |text: &str| format!("=?base64?{}?=", STANDARD.encode(text));
        match self {
            Self::Absent => vec![],
            Self::Equal => vec![value.to_owned()],
            Self::Padded => vec![format!(" {value}\t")],
            Self::Encoded => vec![encoded(value)],
            Self::Different => vec!["other".to_owned()],
            Self::OtherCase => vec![value.to_uppercase()],
            Self::Empty => vec![String::new()],
            Self::Twice => vec![value.to_owned(); 2],
            Self::TwiceDifferent => vec![value.to_owned(), "other".to_owned()],
            Self::MisEncoded => vec![format!("=?base64?{}!?=", STANDARD.encode(value))],
            Self::EncodedOther => vec![encoded("other")],
            Self::WrongMarker => vec![encoded(value).replace("base64", "BASE64")],
        }
    }
}

/// Name, value, whether it may be encoded.
const HEADERS: [(&str, &str, bool); 4] = [
    ("mcp-protocol-version", "2026-07-28", false),
    ("mcp-method", "tools/call", false),
    ("mcp-name", "work", true),
    ("mcp-param-region", "eu-a", true),
];

fn body() -> String {
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"work","arguments":{"where":{"region":"eu-a"}},"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#
        .to_owned()
}

fn region() -> Vec<Declared> {
    let schema = r#"{"type":"object","properties":{"where":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}}"#;
    parameters::declared(&json::parse(schema.as_bytes()).unwrap())
}

fn passes(ways: [Way; 4], declared: &[Declared]) -> bool {
    let mut headers = HeaderMap::new();
    for (way, (name, value, _)) in ways.into_iter().zip(HEADERS) {
        for value in way.values(value) {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
    }
    let body = body();
    let message = Message::parse(body.as_bytes()).unwrap();
    let Ok(agreed) = era::agree(&headers, &message) else { return false };
    let call = ToolCall::from_params(message.params()).unwrap();
    assert!(agreed.era.is_modern());
    parameters::check(declared, call.arguments, &agreed.parameters).is_ok()
}

#[test]
fn only_headers_that_say_what_the_body_says_pass_in_every_combination() {
    let declared = region();
    let (mut passed, mut tried) = (0, 0);
    for version in Way::ALL {
        for method in Way::ALL {
            for name in Way::ALL {
                for parameter in Way::ALL {
                    let ways = [version, method, name, parameter];
                    let honest =
                        ways.iter().zip(HEADERS).all(|(way, (header, value, encodable))| match way {
                            Way::Equal | Way::Padded => true,
                            Way::Encoded => encodable,
                            // A revision has no letters that could be of another case.
                            Way::OtherCase => value.to_uppercase() == value,
                            // Whether an argument has to be repeated, the server knows.
                            Way::Absent => header.starts_with("mcp-param-"),
                            _ => false,
                        });
                    assert_eq!(passes(ways, &declared), honest, "{ways:?}");
                    passed += usize::from(honest);
                    tried += 1;
                }
            }
        }
    }
    assert_eq!((tried, passed), (20_736, 3 * 2 * 3 * 4));
}

#[test]
fn what_no_schema_declares_is_not_compared() {
    for way in [Way::Absent, Way::Equal, Way::Different, Way::Encoded] {
        assert!(passes([Way::Equal, Way::Equal, Way::Equal, way], &[]), "{way:?}");
    }
    for way in [Way::Twice, Way::MisEncoded] {
        assert!(!passes([Way::Equal, Way::Equal, Way::Equal, way], &[]), "{way:?} is wrong by itself");
    }
}

fn compare(argument: &str, header: Option<&str>) -> Result<(), ParameterError> {
    let arguments = format!(r#"{{"x":{argument}}}"#);
    let arguments = json::parse(arguments.as_bytes()).unwrap();
    let declared = [Declared { header: "x".to_owned(), path: vec!["x".to_owned()] }];
    let headers: Vec<_> = header
        .into_iter()
        .map(|value| toolgate_gateway::wire::mirror::Parameter {
            name: "x".to_owned(),
            value: value.to_owned(),
        })
        .collect();
    parameters::check(&declared, arguments.as_object(), &headers)
}

#[test]
fn numbers_are_compared_by_value_and_all_else_by_text() {
    for (argument, header) in [
        ("42", "42"),
        ("42", "42.0"),
        ("42.0", "42"),
        ("4.2e1", "42"),
        ("-0", "0"),
        ("-1.50", "-1.5"),
        ("9007199254740993", "9007199254740993"),
        ("true", "true"),
        ("false", "false"),
        ("\"\"", ""),
        ("\"42\"", "42"),
        ("\"\\u00e9\"", "é"),
    ] {
        assert_eq!(compare(argument, Some(header)), Ok(()), "{argument} {header}");
    }
    for (argument, header) in [
        ("42", "43"),
        ("42", "4.2e1"),
        ("42", "0x2a"),
        ("42", "+42"),
        ("42", ""),
        ("42", "-42"),
        ("42", "42."),
        ("42", ".42"),
        ("42", "4 2"),
        ("9007199254740993", "9007199254740992"),
        ("true", "True"),
        ("true", "1"),
        ("\"42\"", "42.0"),
        ("\"a\"", "A"),
        ("null", "null"),
        ("null", ""),
        ("[1]", "1"),
        ("{}", "{}"),
    ] {
        assert_eq!(compare(argument, Some(header)), Err(ParameterError), "{argument} {header}");
    }
    // Another gateway may know another schema of the tool: only the server knows whether a header has to be there.
    for argument in ["42", "true", "\"a\"", "\"\"", "null", "[1]", "{}"] {
        assert_eq!(compare(argument, None), Ok(()), "{argument}");
    }
}

#[test]
fn only_properties_of_properties_declare() {
    let of = |schema: &str| parameters::declared(&json::parse(schema.as_bytes()).unwrap()).len();
    assert_eq!(
        of(r#"{"properties":{"a":{"x-mcp-header":"A"},"b":{"properties":{"c":{"x-mcp-header":"C"}}}}}"#),
        2
    );
    for none in [
        r#"{"x-mcp-header":"A"}"#,
        r#"{"items":{"x-mcp-header":"A"}}"#,
        r#"{"properties":{"a":{"items":{"x-mcp-header":"A"}}}}"#,
        r#"{"properties":{"a":{"x-mcp-header":1}}}"#,
        r#"{"properties":[{"x-mcp-header":"A"}]}"#,
        "true",
    ] {
        assert_eq!(of(none), 0, "{none}");
    }
    let deep = |depth: usize| {
        let inner = r#"{"x-mcp-header":"A"}"#.to_owned();
        (0..depth).fold(inner, |schema, _| format!(r#"{{"properties":{{"a":{schema}}}}}"#))
    };
    assert_eq!((of(&deep(16)), of(&deep(17))), (1, 0));
    let wide = |width: usize| {
        let members: Vec<String> =
            (0..width).map(|i| format!(r#""a{i}":{{"x-mcp-header":"a{i}"}}"#)).collect();
        format!(r#"{{"properties":{{{}}}}}"#, members.join(","))
    };
    assert_eq!((of(&wide(64)), of(&wide(65))), (64, 64));
}

#[test]
fn the_declarations_of_so_many_tools_are_kept_and_of_one_more_are_not() {
    let declarations = Declarations::default();
    let learn = |name: &str, property: &str| {
        let tool = format!(r#"{{"name":"{name}","inputSchema":{{"properties":{{"a":{property}}}}}}}"#);
        declarations.learn(&json::parse(tool.as_bytes()).unwrap());
    };
    for i in 0..=TOOLS_MAX {
        learn(&i.to_string(), r#"{"x-mcp-header":"A"}"#);
    }
    assert!(declarations.of(&(TOOLS_MAX - 1).to_string()).is_some());
    assert!(declarations.of(&TOOLS_MAX.to_string()).is_none());
    learn("0", r#"{"x-mcp-header":"B"}"#);
    assert_eq!(declarations.of("0").unwrap()[0].header, "b", "a known one still changes");
    learn("0", "{}");
    assert!(declarations.of("0").is_none());
    learn(&TOOLS_MAX.to_string(), r#"{"x-mcp-header":"A"}"#);
    assert!(declarations.of(&TOOLS_MAX.to_string()).is_some());
}

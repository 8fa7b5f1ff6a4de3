//! Bodies that parsers read differently.

use super::{Arena, Era, Told};

const PARSE: Told = Told::Error(400, -32700);
const INVALID: Told = Told::Error(400, -32600);
const PARAMS: Told = Told::Error(200, -32602);

#[tokio::test]
async fn framing() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let (allowed, denied) = (era.call("get_leads"), era.call("update_lead"));
        let deep = |open: &str| open.repeat(100_000);
        let digits = "9".repeat(1025);
        for (what, body, told) in [
            ("1 a batch", format!("[{allowed},{denied}]"), INVALID),
            ("1 a batch of one", format!("[{denied}]"), INVALID),
            ("1 a batch in white space", format!(" \n\t[{denied}]"), INVALID),
            ("2 an empty array", "[]".to_owned(), INVALID),
            ("3 two values", format!("{allowed} {denied}"), PARSE),
            ("3 two lines", format!("{allowed}\n{denied}"), PARSE),
            ("3 a NUL between", format!("{allowed}\0{denied}"), PARSE),
            ("3 a NUL after", format!("{denied}\0"), PARSE),
            ("3 a brace after", format!("{denied}}}"), PARSE),
            ("4 a byte order mark", format!("\u{feff}{denied}"), PARSE),
            ("7 half a surrogate pair", denied.replace("lead\"", "lead\\ud800\""), PARSE),
            ("8 NaN", denied.replace("{},", "{\"id\":NaN},"), PARSE),
            ("8 Infinity", denied.replace("{},", "{\"id\":-Infinity},"), PARSE),
            ("8 a comment", format!("/* */{denied}"), PARSE),
            ("8 a line comment", format!("{denied}//"), PARSE),
            ("8 a trailing comma", denied.replace("{},", "{\"id\":1,},"), PARSE),
            ("8 single quotes", denied.replace('"', "'"), PARSE),
            ("8 hexadecimal", denied.replace("{},", "{\"id\":0x10},"), PARSE),
            ("8 a raw line feed in a string", denied.replace("update_", "update\n_"), PARSE),
            ("9 a deep array", deep("["), PARSE),
            ("9 a deep object", deep("{\"a\":"), PARSE),
            ("9 deep arguments", denied.replace("{},", &format!("{{\"a\":{}}},", deep("["))), PARSE),
            ("10 a long number", denied.replace("{},", &format!("{{\"id\":{digits}}},")), PARSE),
            ("nothing", String::new(), PARSE),
            ("white space", " \n".to_owned(), PARSE),
            ("a string", format!("{denied:?}"), INVALID),
            ("null", "null".to_owned(), INVALID),
        ] {
            arena.expect(what, &era.saying(&arena.session, "update_lead", body), told).await;
        }
    }
}

#[tokio::test]
async fn encodings() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let denied = era.call("update_lead");
        let wide: Vec<u16> = denied.encode_utf16().collect();
        let little: Vec<u8> = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let widest: Vec<u8> = denied.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let marked = [b"\xff\xfe".as_slice(), &little].concat();
        let broken = denied.replace("{},", "{\"query\":\"?\"},").replace('?', "\u{1}").into_bytes();
        let broken: Vec<u8> = broken.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
        let overlong = [denied.as_bytes(), b"\xc0\xa0"].concat();
        for (what, body) in [
            ("5 UTF-16 little endian", little.clone()),
            ("5 UTF-16 big endian", big),
            ("5 UTF-16 with a mark", marked),
            ("5 UTF-32", widest),
            ("6 a byte that is no UTF-8", broken),
            ("6 an overlong space", overlong),
        ] {
            arena.expect(what, &era.saying(&arena.session, "update_lead", body.clone()), PARSE).await;
        }
        for charset in ["utf-16", "UTF-16LE", "utf-32", "latin1", "us-ascii", "utf-7", "utf8"] {
            let kind = format!("application/json; charset={charset}");
            let request = era.saying(&arena.session, "update_lead", little.clone());
            arena.expect(charset, &request.instead("content-type", &kind), Told::Status(415)).await;
        }
    }
}

#[tokio::test]
async fn keys_that_are_there_twice() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let (meta, call) = (era.meta(), era.call("get_leads"));
        let params = |members: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{{members},{meta}}}}}"#)
        };
        let beside_name =
            |key: &str| params(&format!(r#""name":"get_leads","{key}":"update_lead","arguments":{{}}"#));
        let list = "\"method\":\"tools/list\",\"method\":\"tools/call\"";
        for (what, body) in [
            ("19 name", beside_name("name")),
            ("19 name, the other way", params(r#""name":"update_lead","name":"get_leads""#)),
            ("19 method", call.replace("\"method\":\"tools/call\"", list)),
            ("19 id", call.replace("\"id\":7", "\"id\":7,\"id\":8")),
            ("19 jsonrpc", call.replace("\"id\":7", "\"jsonrpc\":\"2.0\",\"id\":7")),
            ("19 params", call.replace("\"params\":", "\"params\":{\"name\":\"update_lead\"},\"params\":")),
            ("19 arguments", call.replace("\"arguments\":{}", "\"arguments\":{},\"arguments\":{\"id\":1}")),
            ("19 in the arguments", call.replace("{},", "{\"id\":1,\"id\":2},")),
            ("19 deep in the arguments", call.replace("{},", "{\"a\":[{\"b\":{\"id\":1,\"id\":2}}]},")),
            ("20 an escaped twin", beside_name("na\\u006de")),
            (
                "20 an escaped twin of a key in the arguments",
                call.replace("{},", "{\"id\":1,\"\\u0069d\":2},"),
            ),
            ("21 Name", beside_name("Name")),
            ("21 NAME", beside_name("NAME")),
            ("21 a NUL at its end", beside_name("name\\u0000")),
            ("21 a zero-width space in it", beside_name("na\u{200b}me")),
            ("21 a long s", params(r#""name":"get_leads","argumentſ":{}"#)),
            ("21 a Kelvin sign", params("\"name\":\"get_leads\",\"tas\u{212a}\":{}")),
            ("21 Params", call.replace("\"params\":", "\"Params\":{\"name\":\"update_lead\"},\"params\":")),
            ("21 Method", call.replace("\"id\":7", "\"Method\":\"tools/call\",\"id\":7")),
            ("21 a twin in the arguments", call.replace("{},", "{\"id\":1,\"ID\":2},")),
            ("an unknown key of the envelope", call.replace("\"id\":7", "\"x\":1,\"id\":7")),
            ("24 a result", call.replace("\"id\":7", "\"id\":7,\"result\":{}")),
            ("24 an error", call.replace("\"id\":7", "\"id\":7,\"error\":{\"code\":1,\"message\":\"\"}")),
        ] {
            arena.expect(what, &era.saying(&arena.session, "get_leads", body), INVALID).await;
        }
        // Without its twin it is no name at all.
        for key in ["Name", "NAME", "name\\u0000", "n\u{e2}me"] {
            let body = params(&format!(r#""{key}":"update_lead","arguments":{{}}"#));
            let before = arena.world.stand_in.counts().total;
            let answer =
                arena.world.ask(&era.saying(&arena.session, "update_lead", body)).await.expect("an answer");
            assert!(answer.error_code().is_some(), "{key}: {}", answer.text());
            assert_eq!(arena.world.stand_in.counts().total, before, "{key}");
        }
    }
}

#[tokio::test]
async fn values_that_look_like_others() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let denied = era.call("update_lead");
        let escaped =
            denied.replace("tools/call", "tools\\/call").replace("update_lead", "update_\\u006cead");
        let escaped = escaped.replace("\"name\"", "\"n\\u0061me\"").replace("\"method\"", "\"\\u006dethod\"");
        arena.expect("22 escapes", &era.saying(&arena.session, "update_lead", escaped), Told::Denied).await;
        for name in [
            "UPDATE_LEAD",
            "Update_lead",
            "update_lead ",
            " update_lead",
            "update_lead\\u0000",
            "update_lead\\n",
            "upd\u{430}te_lead",
            "update\u{ff3f}lead",
            "update_le\u{301}ad",
            "update_\u{200b}lead",
            "update_lead\u{202e}",
            "update_lead\u{e0061}",
            "kommo/update_lead",
            "kommo.update_lead",
            "../update_lead",
            "update_lead?x",
            "update%5flead",
            "update-lead",
            "get_leads,update_lead",
            "",
        ] {
            let body = era.call(name);
            let named: String = serde_json::from_str(&format!("\"{name}\"")).expect("a JSON string");
            let header = match era {
                Era::Modern => encoded(&named),
                Era::Session => named,
            };
            let request = era.saying(&arena.session, "x", body);
            let request = if era == Era::Modern { request.instead("mcp-name", &header) } else { request };
            arena.expect(&format!("23 the name {name:?}"), &request, Told::Unknown).await;
        }
    }
}

#[tokio::test]
async fn methods_that_look_like_others() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let denied = era.call("update_lead");
        for method in [
            "TOOLS/CALL",
            "Tools/call",
            "tools/call ",
            " tools/call",
            "tools/call\\u0000",
            "tools//call",
            "tools.call",
        ] {
            let body = denied.replace("tools/call", method);
            let request = era.saying(&arena.session, "update_lead", body).without("mcp-name");
            let text: String = serde_json::from_str(&format!("\"{method}\"")).expect("a JSON string");
            let request = match era {
                Era::Modern => request.instead("mcp-method", text.trim_matches('\0')),
                Era::Session => request,
            };
            let before = arena.world.stand_in.counts().total;
            let answer = arena.world.ask(&request).await.expect("an answer");
            assert!(matches!(answer.error_code(), Some(-32601 | -32020)), "{method}: {}", answer.text());
            assert_eq!(arena.world.stand_in.counts().total, before, "{method}");
        }
    }
}

/// As the modern era's headers carry what is not plain.
fn encoded(name: &str) -> String {
    use base64::Engine;
    format!("=?base64?{}?=", base64::prelude::BASE64_STANDARD.encode(name))
}

#[tokio::test]
async fn shapes() {
    let arena = Arena::new().await;
    for era in Era::BOTH {
        let (denied, meta) = (era.call("update_lead"), era.meta());
        let named = |name: &str| denied.replace("\"name\":\"update_lead\"", &format!("\"name\":{name}"));
        let argued = |value: &str| denied.replace("\"arguments\":{}", &format!("\"arguments\":{value}"));
        for (what, body, told) in [
            ("25 a null id", denied.replace("\"id\":7", "\"id\":null"), INVALID),
            ("25 a fraction as id", denied.replace("\"id\":7", "\"id\":7.5"), INVALID),
            ("25 an object as id", denied.replace("\"id\":7", "\"id\":{}"), INVALID),
            ("25 no id", denied.replace("\"id\":7,", ""), INVALID),
            ("26 no jsonrpc", denied.replace("\"jsonrpc\":\"2.0\",", ""), INVALID),
            ("26 jsonrpc 1.0", denied.replace("\"2.0\"", "\"1.0\""), INVALID),
            ("26 jsonrpc as a number", denied.replace("\"2.0\"", "2.0"), INVALID),
            (
                "27 params as an array",
                denied.replace("\"params\":{", "\"params\":[{").replace("}}}", "}}]}"),
                INVALID,
            ),
            (
                "27 params as a string",
                "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":\"x\"}".to_owned(),
                INVALID,
            ),
            ("28 arguments as an array", argued("[]"), PARAMS),
            ("28 arguments as a string", argued("\"{}\""), PARAMS),
            ("28 arguments as null", argued("null"), PARAMS),
            ("28 arguments as a number", argued("0"), PARAMS),
        ] {
            let body = if what.starts_with("27 params as an array") { array_params(meta) } else { body };
            arena.expect(what, &era.saying(&arena.session, "update_lead", body), told).await;
        }
        for name in ["7", "null", "true", "[\"update_lead\"]", "{\"name\":\"update_lead\"}"] {
            let told = if era == Era::Modern { Told::Error(400, -32602) } else { PARAMS };
            arena.expect(name, &era.saying(&arena.session, "update_lead", named(name)), told).await;
        }
    }
}

fn array_params(meta: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[{{"name":"update_lead",{meta}}}]}}"#)
}

#[tokio::test]
async fn what_passes_is_written_anew_and_its_digits_are_kept() {
    let arena = Arena::new().await;
    let digits = "-0.10000000000000000000000000000000000000000000000001e-7";
    for era in Era::BOTH {
        arena.world.stand_in.clear_record();
        let body = format!(
            "\r\n{}\n ",
            era.call("get_leads")
                .replace("{},", &format!("{{ \"qu\\u0065ry\" : \"\\u2028\\/\", \"limit\":{digits} }},"))
        );
        arena.passes("odd but fair", &era.saying(&arena.session, "get_leads", body), "get_leads").await;
        let record = arena.world.stand_in.record();
        let arguments = format!(r#""arguments":{{"query":"\u2028/","limit":{digits}}}"#);
        assert!(record[0].body.contains(&arguments), "{}", record[0].body);
        assert!(!record[0].body.contains(['\r', '\n', ' ']), "{}", record[0].body);
        assert_eq!(record[0].headers["content-length"], record[0].body.len().to_string());
    }
}

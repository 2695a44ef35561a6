//! Messages and uses of tools in the forms that instrumentors were seen to send (`tests/clients/campaign`).

use serde_json::{Value, json};

use super::stored;
use crate::dialect::Dialect;

/// The only step of a trace, as read.
fn step(attributes: &[(&str, Value)], more: &Value) -> Value {
    let typed = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        n => json!({ "intValue": n.to_string() }),
    };
    let attributes: Vec<Value> = attributes
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": typed(value) }))
        .collect();
    let mut span = json!({ "traceId": "000000000000000000000000000000aa", "spanId": "00000000000000b1",
        "name": "n", "startTimeUnixNano": "5000000", "endTimeUnixNano": "9000000", "attributes": attributes });
    let fields = more.as_object().unwrap().clone();
    span.as_object_mut().unwrap().extend(fields);
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    let mut read = stored(Dialect::OtlpJson, body.to_string().as_bytes()).read();
    read["trace"]["steps"][0].take()
}

/// Role, text, and uses as id, name and arguments.
fn said(attributes: &[(&str, Value)]) -> Value {
    let step = step(attributes, &json!({}));
    let messages = step["messages"].as_array().unwrap().iter().map(|message| {
        let parts = message["content"].as_array().unwrap().iter();
        let text: String = parts.map(|part| part["text"].as_str().unwrap()).collect();
        let uses = message["tool_calls"].as_array().unwrap().iter();
        let uses = uses.map(|used| json!([used["id"], used["name"], used["arguments"]]));
        json!([message["role"], text, uses.collect::<Vec<_>>()])
    });
    messages.collect()
}

/// What every form below says.
fn expected() -> Value {
    json!([
        ["system", "Be brief.", []],
        ["user", "Weather?", []],
        ["assistant", "", [["call_1", "get_weather", { "city": "SF" }]]],
        ["tool", "{\"temp\":61}", []],
        ["assistant", "Sunny.", []],
    ])
}

#[test]
fn openinference_tells_by_attributes_of_their_own() {
    let input = "llm.input_messages";
    let keys: Vec<(String, &str)> = [
        ("0.message.role", "system"),
        ("0.message.content", "Be brief."),
        ("1.message.role", "user"),
        ("1.message.contents.0.message_content.type", "text"),
        ("1.message.contents.0.message_content.text", "Weather?"),
        ("2.message.role", "assistant"),
        ("2.message.contents.0.message_content.type", "tool_use"),
        ("2.message.tool_calls.0.tool_call.id", "call_1"),
        (
            "2.message.tool_calls.0.tool_call.function.name",
            "get_weather",
        ),
        (
            "2.message.tool_calls.0.tool_call.function.arguments",
            "{\"city\":\"SF\"}",
        ),
        ("3.message.role", "tool"),
        ("3.message.content", "{\"temp\":61}"),
        ("3.message.tool_call_id", "call_1"),
    ]
    .into_iter()
    .map(|(key, value)| (format!("{input}.{key}"), value))
    .collect();
    let mut attributes: Vec<(&str, Value)> = keys
        .iter()
        .map(|(key, value)| (&**key, json!(value)))
        .collect();
    attributes.push(("llm.output_messages.0.message.role", json!("assistant")));
    attributes.push(("llm.output_messages.0.message.content", json!("Sunny.")));
    // The whole request stands there too, and is not told twice.
    attributes.push((
        "input.value",
        json!("{\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"}]}"),
    ));
    attributes.push(("output.value", json!("{}")));
    assert_eq!(said(&attributes), expected());
}

#[test]
fn openllmetry_told_by_attributes_of_their_own() {
    let attributes = [
        ("gen_ai.prompt.0.role", "system"),
        ("gen_ai.prompt.0.content", "Be brief."),
        ("gen_ai.prompt.1.role", "user"),
        ("gen_ai.prompt.1.content", "Weather?"),
        ("gen_ai.prompt.2.role", "assistant"),
        ("gen_ai.prompt.2.tool_calls.0.id", "call_1"),
        ("gen_ai.prompt.2.tool_calls.0.name", "get_weather"),
        (
            "gen_ai.prompt.2.tool_calls.0.arguments",
            "{\"city\":\"SF\"}",
        ),
        ("gen_ai.prompt.3.role", "tool"),
        ("gen_ai.prompt.3.content", "{\"temp\":61}"),
        ("gen_ai.completion.0.content", "Sunny."),
    ]
    .map(|(key, value)| (key, json!(value)));
    assert_eq!(said(&attributes), expected());
}

#[test]
fn the_convention_tells_by_parts() {
    let input = json!([
        { "role": "user", "parts": [{ "type": "text", "content": "Weather?" }] },
        { "role": "assistant", "parts": [
            { "type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": { "city": "SF" } }] },
        { "role": "tool", "parts": [
            { "type": "tool_call_response", "id": "call_1", "response": { "temp": 61 } }] },
    ]);
    let output = json!([{ "role": "assistant", "parts": [{ "type": "text", "content": "Sunny." }], "finish_reason": "stop" }]);
    let attributes = [
        (
            "gen_ai.system_instructions",
            json!("[{\"type\":\"text\",\"content\":\"Be brief.\"}]"),
        ),
        ("gen_ai.input.messages", json!(input.to_string())),
        ("gen_ai.output.messages", json!(output.to_string())),
    ];
    assert_eq!(said(&attributes), expected());
}

/// Uses of tools as the versions 4 to 7 of the AI SDK name their fields.
#[test]
fn the_ai_sdk_tells_its_answer_in_pieces() {
    for (arguments, result) in [
        ("args", json!({ "result": { "temp": 61 } })),
        (
            "input",
            json!({ "output": { "type": "json", "value": { "temp": 61 } } }),
        ),
    ] {
        let mut part =
            json!({ "type": "tool-result", "toolCallId": "call_1", "toolName": "get_weather" });
        part.as_object_mut()
            .unwrap()
            .extend(result.as_object().unwrap().clone());
        let prompt = json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Weather?" }] },
            { "role": "assistant", "content": [
                { "type": "tool-call", "toolCallId": "call_1", "toolName": "get_weather", arguments: { "city": "SF" } }] },
            { "role": "tool", "content": [part] },
        ]);
        let attributes = [
            ("ai.prompt.messages", json!(prompt.to_string())),
            ("ai.response.text", json!("Sunny.")),
        ];
        assert_eq!(said(&attributes), expected());
        let calls = json!([{ "toolCallId": "call_1", "toolName": "get_weather", arguments: "{\"city\":\"SF\"}" }]);
        let attributes = [
            (
                "ai.prompt",
                json!("{\"system\":\"Be brief.\",\"prompt\":\"Weather?\"}"),
            ),
            ("ai.response.toolCalls", json!(calls.to_string())),
        ];
        assert_eq!(
            said(&attributes),
            json!(expected().as_array().unwrap()[..3])
        );
    }
}

#[test]
fn a_chain_has_messages_in_and_a_text_out() {
    let attributes = [
        ("openinference.span.kind", json!("CHAIN")),
        ("llm.input_messages.0.message.role", json!("system")),
        ("llm.input_messages.0.message.content", json!("Be brief.")),
        ("output.value", json!("Sunny.")),
    ];
    assert_eq!(
        said(&attributes),
        json!([["system", "Be brief.", []], ["assistant", "Sunny.", []]])
    );
}

#[test]
fn events_of_the_older_convention_are_messages() {
    let event = |name: &str, key: &str, value: &str| json!({ "name": name, "timeUnixNano": "6", "attributes": [{ "key": key, "value": { "stringValue": value } }] });
    let more = json!({ "events": [
        event("gen_ai.user.message", "content", "Weather?"),
        event("gen_ai.choice", "message", "{\"role\":\"assistant\",\"content\":\"Sunny.\"}"),
        event("something.else", "content", "not said"),
    ] });
    let step = step(&[("gen_ai.operation.name", json!("chat"))], &more);
    let said: Vec<_> = step["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (&m["role"], &m["content"][0]["text"]))
        .collect();
    assert_eq!(
        said,
        [
            (&json!("user"), &json!("Weather?")),
            (&json!("assistant"), &json!("Sunny."))
        ]
    );
}

#[test]
fn a_use_of_a_tool_has_its_error_and_its_time() {
    let attributes = [
        ("gen_ai.operation.name", json!("execute_tool")),
        ("gen_ai.tool.name", json!("get_weather")),
        ("tool_arguments", json!("{\"city\":\"SF\"}")),
    ];
    let step = step(
        &attributes,
        &json!({ "status": { "code": 2, "message": "the tool broke" } }),
    );
    assert_eq!(
        step["tool_calls"],
        json!([{ "id": "00000000000000b1", "name": "get_weather", "arguments": { "city": "SF" },
            "error": "the tool broke", "latency_ms": 4 }])
    );
}

/// What Gemini's API takes and gives, as Google's ADK says it.
#[test]
fn requests_and_responses_of_gemini_are_messages() {
    let request = json!({ "model": "m", "config": { "system_instruction": "Be brief." }, "contents": [
        { "role": "user", "parts": [{ "text": "Weather?" }] },
        { "role": "model", "parts": [{ "function_call": { "id": "call_1", "name": "get_weather", "args": { "city": "SF" } } }] },
        { "role": "tool", "parts": [{ "function_response": { "name": "get_weather", "response": { "temp": 61 } } }] },
    ] });
    let response = json!({ "content": { "role": "model", "parts": [{ "text": "Sunny." }] }, "finish_reason": "STOP" });
    let attributes = [
        ("gcp.vertex.agent.llm_request", json!(request.to_string())),
        ("gcp.vertex.agent.llm_response", json!(response.to_string())),
    ];
    assert_eq!(said(&attributes), expected());
}

/// Langfuse's client says everything as JSON: of a function `{"args", "kwargs"}` or what it was given by name, of a
/// call of a model its messages, bare or as the request around them (`LiteLLM`).
#[test]
fn langfuse_tells_talk_and_any_data_by_the_same_names() {
    let asked = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [{ "type": "text", "text": "Weather?" }] },
        { "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1", "type": "function",
            "function": { "name": "get_weather", "arguments": "{\"city\":\"SF\"}" } }] },
        { "role": "tool", "content": "{\"temp\":61}", "tool_call_id": "call_1" },
    ]);
    let answered = json!({ "role": "assistant", "content": "Sunny." });
    for (input, output) in [
        (asked.to_string(), answered.to_string()),
        (
            json!({ "messages": asked, "tools": [] }).to_string(),
            json!([answered]).to_string(),
        ),
    ] {
        let attributes = [
            ("langfuse.observation.input", json!(input)),
            ("langfuse.observation.output", json!(output)),
        ];
        assert_eq!(said(&attributes), expected(), "{input}");
    }
    // The Responses API has uses of tools beside messages.
    let asked = json!([
        { "role": "user", "content": "Weather?" },
        { "type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{\"city\":\"SF\"}" },
    ]);
    let attributes = [
        ("langfuse.observation.input", json!(asked.to_string())),
        ("langfuse.observation.output", json!("Sunny.")),
    ];
    assert_eq!(
        said(&attributes),
        json!([
            ["user", "Weather?", []],
            ["user", "", [["call_1", "get_weather", { "city": "SF" }]]],
            ["assistant", "Sunny.", []]
        ])
    );
    for (input, output) in [
        (
            json!({ "args": ["Oslo"], "kwargs": {} }),
            json!({ "temp": 61 }),
        ),
        (
            json!({ "type": "city", "name": "Oslo" }),
            json!(["warm", { "type": "note" }]),
        ),
        (json!(["Oslo", "Bergen"]), json!([])),
    ] {
        let attributes = [
            ("langfuse.observation.type", json!("retriever")),
            ("langfuse.observation.input", json!(input.to_string())),
            ("langfuse.observation.output", json!(output.to_string())),
        ];
        let step = step(&attributes, &json!({}));
        let told = |role: &str, data: &Value| json!({ "role": role, "content": [{ "type": "text", "text": data.to_string() }], "tool_calls": [] });
        let messages: Vec<Value> = step["messages"].as_array().unwrap().iter().map(|m| json!({ "role": m["role"], "content": m["content"], "tool_calls": m["tool_calls"] })).collect();
        assert_eq!(messages, [told("user", &input), told("assistant", &output)]);
    }
}

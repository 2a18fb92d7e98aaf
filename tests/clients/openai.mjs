// OpenAI's own client for JavaScript: node openai.mjs BASE_URL CHAT TOOLS EMBEDDINGS. Throws where something is not so.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { OpenAI } = createRequire(process.env.CLIENT_MODULES + "/")("openai");
const [baseURL, chat, tools, embeddings] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const words = "Notes: Anna will send the budget to Ben by Friday. List the action items.";
const messages = [{ role: "user", content: words }];
const more = { max_tokens: 120, temperature: 0 };

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert(names.includes(chat));

const whole = await client.chat.completions.create({ model: chat, messages, ...more });
let streamed = "";
for await (const chunk of await client.chat.completions.create({ model: chat, messages, stream: true, ...more }))
  streamed += chunk.choices[0]?.delta?.content ?? "";
assert.equal(streamed, whole.choices[0].message.content);
assert(whole.usage.completion_tokens > 0);

const schema = {
  type: "object",
  properties: { who: { type: "string", maxLength: 20 }, urgent: { type: "boolean" } },
  required: ["who", "urgent"],
  additionalProperties: false,
};
const shaped = await client.chat.completions.create({
  model: chat,
  messages,
  response_format: { type: "json_schema", json_schema: { name: "item", schema, strict: true } },
  ...more,
});
assert.deepEqual(Object.keys(JSON.parse(shaped.choices[0].message.content)).sort(), ["urgent", "who"]);

const parameters = { type: "object", properties: { days: { enum: [1, 2, 3] } }, required: ["days"], additionalProperties: false };
const called = await client.chat.completions.create({
  model: tools,
  messages,
  tools: [{ type: "function", function: { name: "weather", parameters } }],
  tool_choice: "required",
  ...more,
});
const call = called.choices[0].message.tool_calls[0].function;
assert.equal(call.name, "weather");
assert([1, 2, 3].includes(JSON.parse(call.arguments).days));

const vectors = await client.embeddings.create({ model: embeddings, input: [words, "other words"] });
assert.equal(vectors.data.length, 2);
assert.equal(vectors.data[0].embedding.length, vectors.data[1].embedding.length);

const left = await client.chat.completions.create({ model: chat, messages, stream: true, max_tokens: 500 });
for await (const chunk of left) if (chunk.choices[0]?.delta?.content) break;
await assert.rejects(client.chat.completions.create({ model: "no-such-model", messages }), { status: 404 });
console.log("toured");

-- What an agent says of its machine goes into an index, which takes no long texts.
DROP INDEX agents_of_machine;
CREATE INDEX agents_of_machine ON agents (left(environment->>'machine', 64)) WHERE environment->>'machine' IS NOT NULL;

"""The API's nouns: each is an attribute of the client, or of `client.payments`."""

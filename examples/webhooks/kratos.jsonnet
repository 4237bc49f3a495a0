function(ctx) {
  flow: { id: ctx.flow.id, refresh: std.get(ctx.flow, 'refresh', false) },
  identity: {
    id: ctx.identity.id,
    traits: ctx.identity.traits,
    verifiable_addresses: [
      { value: address.value, verified: address.verified }
      for address in std.get(ctx.identity, 'verifiable_addresses', [])
    ],
  },
  session: {
    id: ctx.session.id,
    authenticated_at: ctx.session.authenticated_at,
    authentication_methods: std.get(ctx.session, 'authentication_methods', []),
    devices: std.get(ctx.session, 'devices', []),
  },
  request_headers: {
    [name]: ctx.request_headers[name]
    for name in std.objectFields(ctx.request_headers)
    if name == 'User-Agent' || std.startsWith(name, 'Sec-Ch-Ua')
  },
}

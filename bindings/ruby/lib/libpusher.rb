# frozen_string_literal: true

require 'forwardable'

require_relative 'libpusher/version'
require_relative 'libpusher/errors'
require_relative 'libpusher/native'
require_relative 'libpusher/arguments'
require_relative 'libpusher/request'
require_relative 'libpusher/webhook'
require_relative 'libpusher/channel'
require_relative 'libpusher/publisher'
require_relative 'libpusher/client'

# The server-side SDK for the Pusher Channels HTTP API, on libpusher.
#
#   pusher = LibPusher::Client.new(app_id: '7', key: 'key', secret: 'secret', cluster: 'eu')
#   pusher.trigger('my-channel', 'my-event', { hello: 'world' })
#
# The module itself works as a client. Configure it with {url=}, with {configure}, or with the environment (`PUSHER_URL`):
#
#   LibPusher.url = 'https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID'
#   LibPusher.trigger('my-channel', 'my-event', { hello: 'world' })
module LibPusher
  class << self
    extend Forwardable

    def_delegators :default_client, :trigger, :trigger_batch, :send_to_user, :terminate_user_connections, :channels,
                   :channel_info, :channel_users, :get, :post, :delete, :authenticate, :authenticate_channels,
                   :authenticate_user, :webhook, :validate_webhook, :channel, :[], :publisher, :prepare

    # Makes the module's client from the configuration of {Client#initialize}.
    # @return [Client]
    def configure(**config)
      self.default_client = Client.new(**config)
    end

    # Makes the module's client from a URL, `https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID`.
    def url=(url)
      self.default_client = Client.from_url(url)
    end

    # Returns the module's client. Without a configuration the first use makes it from the environment.
    # @return [Client]
    def default_client
      @default_client || LOCK.synchronize { @default_client ||= Client.from_env }
    end

    # @param client [Client, nil] nil: the next use makes a new client from the environment.
    def default_client=(client)
      LOCK.synchronize { @default_client = client }
    end

    # Returns the version of the loaded C library, such as `"0.1.0"`.
    # @return [String]
    def library_version
      Native.pusher_version
    end
  end

  # Two threads that use the module first at the same time get the same client.
  LOCK = Mutex.new
  private_constant :LOCK
end

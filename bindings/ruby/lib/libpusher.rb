# frozen_string_literal: true

require 'forwardable'
require 'logger'

require_relative 'libpusher/version'
require_relative 'libpusher/errors'
require_relative 'libpusher/fibers'
require_relative 'libpusher/native'
require_relative 'libpusher/arguments'
require_relative 'libpusher/settings'
require_relative 'libpusher/request'
require_relative 'libpusher/future'
require_relative 'libpusher/webhook'
require_relative 'libpusher/channel'
require_relative 'libpusher/publisher'
require_relative 'libpusher/client'

# The server-side SDK for the Pusher Channels HTTP API, on libpusher.
#
#   pusher = LibPusher::Client.new(app_id: '7', key: 'key', secret: 'secret', cluster: 'eu')
#   pusher.trigger('my-channel', 'my-event', { hello: 'world' })
#
# The module itself works as a client. Configure it by its writers, by {configure}, or by the environment (`PUSHER_URL`):
#
#   LibPusher.url = 'https://KEY:SECRET@api-eu.pusher.com/apps/APP_ID'
#   LibPusher.trigger('my-channel', 'my-event', { hello: 'world' })
module LibPusher
  class << self
    extend Forwardable

    def_delegators :default_client, :trigger, :trigger_batch, :send_to_user, :terminate_user_connections, :channels,
                   :channel_info, :channel_users, :get, :post, :delete, :authenticate, :authenticate_channels,
                   :authenticate_user, :webhook, :validate_webhook, :channel, :[], :publisher, :prepare,
                   :trigger_async, :trigger_batch_async, :get_async, :post_async

    def_delegators :default_client, :app_id, :key, :secret, :host, :port, :scheme, :cluster, :encrypted?, :http_proxy, :proxy,
                   :url, :encryption_master_key
    def_delegators :default_client, :app_id=, :key=, :secret=, :host=, :port=, :scheme=, :cluster=, :encrypted=, :use_tls=,
                   :http_proxy=, :url=, :timeout=, :connect_timeout=, :send_timeout=, :receive_timeout=, :keep_alive_timeout=,
                   :encryption_master_key=, :encryption_master_key_base64=

    # @api private
    def_delegators :default_client, :authorize, :log, :webhook_key?, :with_webhook_tokens

    # Makes the module's client from the configuration of {Client#initialize}. Without a logger of its own, it has that of {logger=}.
    # @return [Client]
    def configure(options = nil, **config)
      client = Client.new(options, **config)
      client.logger = @logger if @logger && !client.logger
      self.default_client = client
    end

    # Returns the module's client. Without credentials it takes those of the environment.
    # @return [Client]
    def default_client
      @default_client || LOCK.synchronize { @default_client ||= Client.blank(@logger) }
    end

    # @param client [Client, nil] nil: the next use makes a new one, without a configuration.
    def default_client=(client)
      LOCK.synchronize { @default_client = client }
    end

    # Returns the logger of the module's client. Without one it is a Logger that writes to the standard output from the level `info`
    # on, as in the official gem: it gets only what {Channel#trigger} and {WebHook#valid?} have to say.
    # @return [#error, #warn, #info, #debug]
    def logger
      @default_client&.logger || @logger || LOCK.synchronize { @standard_logger ||= Logger.new($stdout, level: Logger::INFO) }
    end

    # @param logger [#error, #warn, #info, #debug, nil]
    def logger=(logger)
      @logger = logger
      default_client.logger = logger
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
